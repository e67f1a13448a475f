package cfapi

import (
	"maps"
	"net/http"
	"slices"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/controlplane"
)

// changeTags is TagResource or UntagResource, which share method and path.
func changeTags(c *call) (*response, error) {
	operation, err := c.parameter("Operation")
	if err != nil {
		return nil, err
	}
	switch operation {
	case "Tag":
		return tagResource(c)
	case "Untag":
		c.seen.Operation = "UntagResource"
		return untagResource(c)
	}
	return nil, popkv.Errorf(popkv.Invalid, "the query parameter Operation is neither Tag nor Untag")
}

func tagResource(c *call) (*response, error) {
	target, err := c.resource()
	if err != nil {
		return nil, err
	}
	root, err := parseXML(c.admission.Body, "Tags")
	if err != nil {
		return nil, err
	}
	tags, err := readTags(root)
	if err != nil {
		return nil, err
	}
	if err := c.service.Tag(c.ctx, target, tags); err != nil {
		return nil, err
	}
	return &response{status: http.StatusNoContent}, nil
}

func untagResource(c *call) (*response, error) {
	target, err := c.resource()
	if err != nil {
		return nil, err
	}
	root, err := parseXML(c.admission.Body, "TagKeys")
	if err != nil {
		return nil, err
	}
	items, err := root.list("Key")
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, item := range items {
		key, err := item.string()
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if err := c.service.Untag(c.ctx, target, keys); err != nil {
		return nil, err
	}
	return &response{status: http.StatusNoContent}, nil
}

func listTags(c *call) (*response, error) {
	target, err := c.resource()
	if err != nil {
		return nil, err
	}
	tags, err := c.service.Tags(c.ctx, target)
	if err != nil {
		return nil, err
	}
	body := document(namespace, "Tags", func(w *writer) {
		w.element("Items", func() {
			for _, key := range slices.Sorted(maps.Keys(tags)) {
				w.element("Tag", func() {
					w.text("Key", key)
					w.text("Value", tags[key])
				})
			}
		})
	})
	return &response{status: http.StatusOK, body: body}, nil
}

// resource finds what the query names and authorises the operation on it.
func (c *call) resource() (controlplane.Target, error) {
	arn, err := c.parameter("Resource")
	if err != nil {
		return controlplane.Target{}, err
	}
	c.seen.Resource = arn
	target, err := c.service.Resource(c.ctx, c.account(), arn)
	if err == nil {
		err = c.authorize(target)
	}
	return target, err
}

// readTags reads the children of a Tags element. A tag's value is optional.
func readTags(tags *element) ([]controlplane.Tag, error) {
	items, err := tags.list("Tag")
	if err != nil {
		return nil, err
	}
	var all []controlplane.Tag
	for _, item := range items {
		key, err := item.required("Key", "tags.items.key")
		if err != nil {
			return nil, err
		}
		value, err := item.optional("Value")
		if err != nil {
			return nil, err
		}
		tag := controlplane.Tag{Key: key}
		if value != nil {
			tag.Value = *value
		}
		all = append(all, tag)
	}
	return all, nil
}
