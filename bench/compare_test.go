package bench

import (
	"slices"
	"testing"
)

const (
	// quiet is by how much two runs of a floor may differ.
	quiet = 1.25
	// manyRounds is how often something short is measured, so that what a
	// neighbour on the machine does for a moment does not count.
	manyRounds = 7
	// patience bounds how many measurements are thrown away for one that
	// counts.
	patience = 20
)

// A comparison holds subjects against a floor. All run functions return
// numbers of one unit.
type comparison struct {
	unit     string
	rounds   int // in each iteration of the benchmark; 0: manyRounds
	floor    func() float64
	subjects []subject
}

// A subject is what is held against a floor.
type subject struct {
	name   string
	target string // of subject/floor: "≤1.35", or "" for none
	run    func() float64
}

// run measures each subject between two runs of the floor and reports the
// medians: of what was returned, and of subject/floor. It returns the medians
// of the subjects.
func (c comparison) run(b *testing.B) []float64 {
	b.Helper()
	if c.rounds == 0 {
		c.rounds = manyRounds
	}
	var floors []float64
	values, ratios := make([][]float64, len(c.subjects)), make([][]float64, len(c.subjects))
	thrown := 0
	before := c.floor()
	for b.Loop() {
		for n := range c.rounds * len(c.subjects) {
			i := n % len(c.subjects)
			for try := 1; ; try++ {
				value := c.subjects[i].run()
				after := c.floor()
				floor := (before + after) / 2
				same := max(before, after) <= quiet*min(before, after)
				before = after
				if same {
					floors = append(floors, floor)
					values[i] = append(values[i], value)
					ratios[i] = append(ratios[i], value/floor)
					break
				}
				thrown++
				if try == patience {
					b.Fatalf("the machine is not quiet enough to measure %s: %d times the floor changed by more than a quarter", c.subjects[i].name, patience)
				}
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of a whole comparison: says nothing
	b.ReportMetric(median(floors), "floor-"+c.unit)
	b.ReportMetric(float64(thrown), "thrown-away")
	medians := make([]float64, len(c.subjects))
	for i, s := range c.subjects {
		medians[i] = median(values[i])
		b.ReportMetric(medians[i], s.name+"-"+c.unit)
		b.ReportMetric(median(ratios[i]), s.name+"/floor"+s.target)
	}
	return medians
}

func median(values []float64) float64 { return percentile(values, 50) }

// percentile returns 0 of no values at all.
func percentile(values []float64, p int) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}
