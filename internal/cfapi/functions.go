package cfapi

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/controlplane"
)

func createFunction(c *call) (*response, error) {
	in, unreadable := readNewFunction(c.admission.Body)
	// The name is part of the ARN, so whoever may create that function only is
	// told from others once it is read; a body without name is every name.
	target := c.service.Functions(c.account())
	if popkv.IsName(in.Name) {
		target.ARN = popkv.FunctionARN(c.account(), in.Name)
		c.seen.Resource = in.Name
	}
	if err := c.authorize(target); err != nil {
		return nil, err
	}
	if unreadable != nil {
		return nil, unreadable
	}
	if len(in.Tags) > 0 {
		if err := c.allowed("cloudfront:TagResource", target.ARN.String(), nil); err != nil {
			return nil, err
		}
	}
	f, err := c.service.CreateFunction(c.ctx, c.admission.Caller, in)
	if err != nil {
		return nil, err
	}
	return &response{
		status: http.StatusCreated,
		header: map[string]string{"ETag": f.ETag(), "Location": c.location(popkv.ResourceFunction, f.ARN())},
		body:   functionDocument(&f),
	}, nil
}

func describeFunction(c *call) (*response, error) {
	target, stage, err := c.functionStage()
	if err != nil {
		return nil, err
	}
	f, err := c.service.DescribeFunction(c.ctx, target, stage)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, header: map[string]string{"ETag": f.ETag()}, body: functionDocument(&f)}, nil
}

func getFunction(c *call) (*response, error) {
	target, stage, err := c.functionStage()
	if err != nil {
		return nil, err
	}
	f, code, err := c.service.GetFunction(c.ctx, target, stage)
	if err != nil {
		return nil, err
	}
	return &response{
		status: http.StatusOK, header: map[string]string{"ETag": f.ETag()},
		contentType: "application/octet-stream", body: code,
	}, nil
}

func updateFunction(c *call) (*response, error) {
	target, err := c.function()
	if err != nil {
		return nil, err
	}
	root, err := parseXML(c.admission.Body, "UpdateFunctionRequest")
	if err != nil {
		return nil, err
	}
	config, code, err := readFunction(root)
	if err != nil {
		return nil, err
	}
	f, err := c.service.UpdateFunction(c.ctx, target, c.ifMatch(), config, code)
	if err != nil {
		return nil, err
	}
	// Clients read the new ETag from a header that the service model spells
	// ETtag (observed); whether AWS sends ETag beside it is divergence 15.
	return &response{
		status: http.StatusOK, header: map[string]string{"ETag": f.ETag(), "ETtag": f.ETag()},
		body: functionDocument(&f),
	}, nil
}

func publishFunction(c *call) (*response, error) {
	target, err := c.function()
	if err != nil {
		return nil, err
	}
	f, err := c.service.PublishFunction(c.ctx, target, c.ifMatch())
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, body: functionDocument(&f)}, nil
}

func deleteFunction(c *call) (*response, error) {
	target, err := c.function()
	if err != nil {
		return nil, err
	}
	if err := c.service.DeleteFunction(c.ctx, target, c.ifMatch()); err != nil {
		return nil, err
	}
	return &response{status: http.StatusNoContent}, nil
}

func testFunction(c *call) (*response, error) {
	target, err := c.function()
	if err != nil {
		return nil, err
	}
	root, err := parseXML(c.admission.Body, "TestFunctionRequest")
	if err != nil {
		return nil, err
	}
	name, err := root.optional("Stage")
	if err != nil {
		return nil, err
	}
	stage := controlplane.Development
	if name != nil {
		if stage, err = readStage(*name); err != nil {
			return nil, err
		}
	}
	event, err := root.blob("EventObject", "eventObject")
	if err != nil {
		return nil, err
	}
	f, result, err := c.service.TestFunction(c.ctx, target, c.ifMatch(), stage, event)
	if err != nil {
		return nil, err
	}
	body := document(namespace, "TestResult", func(w *writer) {
		w.element("FunctionSummary", func() { w.function(&f) })
		w.number("ComputeUtilization", result.ComputeUtilization)
		w.element("FunctionExecutionLogs", func() {
			for _, line := range result.Logs {
				w.text("member", line)
			}
		})
		w.text("FunctionErrorMessage", result.ErrorMessage)
		w.text("FunctionOutput", result.Output)
	})
	return &response{status: http.StatusOK, body: body}, nil
}

func listFunctions(c *call) (*response, error) {
	if err := c.authorize(c.service.Functions(c.account())); err != nil {
		return nil, err
	}
	q := controlplane.FunctionQuery{}
	var err error
	if q.Marker, q.MaxItems, err = c.page(); err != nil {
		return nil, err
	}
	stage, err := c.parameter("Stage")
	if err != nil {
		return nil, err
	}
	if stage != "" {
		if q.Stage, err = readStage(stage); err != nil {
			return nil, err
		}
	}
	page, err := c.service.ListFunctions(c.ctx, c.account(), q)
	if err != nil {
		return nil, err
	}
	body := document(namespace, "FunctionList", func(w *writer) {
		w.page(page.Next, page.MaxItems, len(page.Functions), func(i int) {
			w.element("FunctionSummary", func() { w.function(&page.Functions[i]) })
		})
	})
	return &response{status: http.StatusOK, body: body}, nil
}

// function finds the function that the path names and authorises the operation
// on it.
func (c *call) function() (controlplane.Target, error) {
	target, err := c.service.Function(c.ctx, c.account(), c.name)
	if err == nil {
		err = c.authorize(target)
	}
	return target, err
}

// functionStage is function, with the stage that the query names.
func (c *call) functionStage() (controlplane.Target, controlplane.Stage, error) {
	target, err := c.function()
	if err != nil {
		return target, "", err
	}
	name, err := c.parameter("Stage")
	if err != nil || name == "" {
		return target, controlplane.Development, err
	}
	stage, err := readStage(name)
	return target, stage, err
}

func readStage(name string) (controlplane.Stage, error) {
	switch stage := controlplane.Stage(name); stage {
	case controlplane.Development, controlplane.Live:
		return stage, nil
	}
	return "", popkv.Errorf(popkv.Invalid, "the Stage is neither %s nor %s", controlplane.Development, controlplane.Live)
}

// readNewFunction reads a create. The name is returned also where the rest
// cannot be read.
func readNewFunction(body []byte) (in controlplane.NewFunction, err error) {
	root, err := parseXML(body, "CreateFunctionRequest")
	if err != nil {
		return in, err
	}
	if in.Name, err = root.required("Name", "name"); err != nil {
		return in, err
	}
	if in.Config, in.Code, err = readFunction(root); err != nil {
		return in, err
	}
	tags, err := root.child("Tags")
	if err != nil || tags == nil {
		return in, err
	}
	in.Tags, err = readTags(tags)
	return in, err
}

// readFunction reads what create and update have in common.
func readFunction(root *element) (config controlplane.FunctionConfig, code []byte, err error) {
	e, err := root.child("FunctionConfig")
	if err != nil {
		return config, nil, err
	}
	if e == nil {
		return config, nil, missing("functionConfig")
	}
	if config.Comment, err = e.required("Comment", "functionConfig.comment"); err != nil {
		return config, nil, err
	}
	if config.Runtime, err = e.required("Runtime", "functionConfig.runtime"); err != nil {
		return config, nil, err
	}
	if config.Stores, err = readAssociations(e); err != nil {
		return config, nil, err
	}
	code, err = root.blob("FunctionCode", "functionCode")
	return config, code, err
}

// readAssociations reads the ARNs of associated stores, which must be as many
// as Quantity says.
func readAssociations(config *element) ([]string, error) {
	e, err := config.child("KeyValueStoreAssociations")
	if err != nil || e == nil {
		return nil, err
	}
	quantity, err := e.required("Quantity", "functionConfig.keyValueStoreAssociations.quantity")
	if err != nil {
		return nil, err
	}
	items, err := e.list("KeyValueStoreAssociation")
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(quantity))
	if err != nil {
		return nil, malformed("the Quantity of KeyValueStoreAssociations is not a number", nil)
	}
	if n != len(items) {
		return nil, popkv.Errorf(popkv.Invalid, "the Quantity of KeyValueStoreAssociations is not the number of Items")
	}
	var arns []string
	for _, item := range items {
		arn, err := item.required("KeyValueStoreARN", "functionConfig.keyValueStoreAssociations.items.keyValueStoreARN")
		if err != nil {
			return nil, err
		}
		arns = append(arns, arn)
	}
	return arns, nil
}

// blob returns the bytes of a required child that is in base64. White space in
// it means nothing.
func (e *element) blob(name, member string) ([]byte, error) {
	text, err := e.required(name, member)
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, malformed("the element "+name+" is not base64", err)
	}
	return b, nil
}

func functionDocument(f *controlplane.Function) []byte {
	return document(namespace, "FunctionSummary", func(w *writer) { w.function(f) })
}

func (w *writer) function(f *controlplane.Function) {
	w.text("Name", f.Name)
	w.text("Status", f.Status)
	w.element("FunctionConfig", func() {
		w.text("Comment", f.Config.Comment)
		w.text("Runtime", f.Config.Runtime)
		w.element("KeyValueStoreAssociations", func() {
			w.number("Quantity", len(f.Config.Stores))
			if len(f.Config.Stores) == 0 {
				return
			}
			w.element("Items", func() {
				for _, arn := range f.Config.Stores {
					w.element("KeyValueStoreAssociation", func() { w.text("KeyValueStoreARN", arn) })
				}
			})
		})
	})
	w.element("FunctionMetadata", func() {
		w.text("FunctionARN", f.ARN())
		w.text("Stage", string(f.Stage))
		w.time("CreatedTime", f.Created)
		w.time("LastModifiedTime", f.LastModified)
	})
}
