package cfapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/controlplane"
)

func createStore(c *call) (*response, error) {
	if err := c.authorize(c.service.Stores(c.account())); err != nil {
		return nil, err
	}
	in, err := readNewStore(c.admission.Body)
	if err != nil {
		return nil, err
	}
	c.seen.Resource = in.Name
	if err := c.mayCreate(in); err != nil {
		return nil, err
	}
	store, err := c.service.Create(c.ctx, c.admission.Caller, in)
	if err != nil {
		return nil, err
	}
	return &response{
		status: http.StatusCreated,
		header: map[string]string{"ETag": store.ETag(), "Location": c.location(popkv.ResourceStore, store.ARN())},
		body:   storeDocument(&store),
	}, nil
}

// mayCreate checks what a create needs beside itself: tags are set, and the
// document is read on the caller's behalf.
func (c *call) mayCreate(in controlplane.NewStore) error {
	if len(in.Tags) > 0 {
		if err := c.allowed("cloudfront:TagResource", c.service.Stores(c.account()).ARN.String(), nil); err != nil {
			return err
		}
	}
	if in.Import == nil {
		return nil
	}
	location, err := in.Import.Location()
	if err != nil {
		return err
	}
	if err := c.allowed("s3:GetObject", location.ObjectARN(), nil); err != nil {
		return err
	}
	return c.allowed("s3:GetBucketLocation", location.BucketARN(), nil)
}

func readNewStore(body []byte) (in controlplane.NewStore, err error) {
	root, err := parseXML(body, "CreateKeyValueStoreRequest")
	if err != nil {
		return in, err
	}
	if in.Name, err = root.required("Name", "name"); err != nil {
		return in, err
	}
	if in.Comment, err = root.optional("Comment"); err != nil {
		return in, err
	}
	source, err := root.child("ImportSource")
	if err != nil {
		return in, err
	}
	if source != nil {
		in.Import = &controlplane.ImportSource{}
		if in.Import.Type, err = source.required("SourceType", "importSource.sourceType"); err != nil {
			return in, err
		}
		if in.Import.ARN, err = source.required("SourceARN", "importSource.sourceARN"); err != nil {
			return in, err
		}
	}
	tags, err := root.child("Tags")
	if err != nil || tags == nil {
		return in, err
	}
	in.Tags, err = readTags(tags)
	return in, err
}

func describeStore(c *call) (*response, error) {
	target, err := c.store()
	if err != nil {
		return nil, err
	}
	store, err := c.service.Describe(c.ctx, target)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, header: map[string]string{"ETag": store.ETag()}, body: storeDocument(&store)}, nil
}

func updateStore(c *call) (*response, error) {
	target, err := c.store()
	if err != nil {
		return nil, err
	}
	root, err := parseXML(c.admission.Body, "UpdateKeyValueStoreRequest")
	if err != nil {
		return nil, err
	}
	comment, err := root.required("Comment", "comment")
	if err != nil {
		return nil, err
	}
	store, err := c.service.Update(c.ctx, target, c.ifMatch(), comment)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, header: map[string]string{"ETag": store.ETag()}, body: storeDocument(&store)}, nil
}

func deleteStore(c *call) (*response, error) {
	target, err := c.store()
	if err != nil {
		return nil, err
	}
	if err := c.service.Delete(c.ctx, target, c.ifMatch()); err != nil {
		return nil, err
	}
	return &response{status: http.StatusNoContent}, nil
}

// store finds the store that the path names and authorises the operation on
// it.
func (c *call) store() (controlplane.Target, error) {
	target, err := c.service.Store(c.ctx, c.account(), c.name)
	if err == nil {
		err = c.authorize(target)
	}
	return target, err
}

func listStores(c *call) (*response, error) {
	if err := c.authorize(c.service.Stores(c.account())); err != nil {
		return nil, err
	}
	marker, maxItems, err := c.page()
	if err != nil {
		return nil, err
	}
	status, err := c.parameter("Status")
	if err != nil {
		return nil, err
	}
	page, err := c.service.List(c.ctx, c.account(), controlplane.StoreQuery{Marker: marker, MaxItems: maxItems, Status: status})
	if err != nil {
		return nil, err
	}
	body := document(namespace, "KeyValueStoreList", func(w *writer) {
		w.page(page.Next, page.MaxItems, len(page.Stores), func(i int) {
			w.element("KeyValueStore", func() { w.store(&page.Stores[i]) })
		})
	})
	return &response{status: http.StatusOK, body: body}, nil
}

// page reads the parameters that lists have in common.
func (c *call) page() (marker string, maxItems int, err error) {
	if marker, err = c.parameter("Marker"); err != nil {
		return "", 0, err
	}
	maxItems = controlplane.MaxItems
	if _, given := c.query["MaxItems"]; given {
		text, err := c.parameter("MaxItems")
		if err != nil {
			return "", 0, err
		}
		// Only digits: no sign, which Atoi would take. One that is too large for
		// any integer is still only more than the maximum.
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) || n == 0 {
			return "", 0, popkv.Errorf(popkv.Invalid, "MaxItems is not a positive number")
		}
		maxItems = int(min(n, controlplane.MaxItems))
	}
	return marker, maxItems, nil
}

func storeDocument(s *controlplane.Store) []byte {
	return document(namespace, "KeyValueStore", func(w *writer) { w.store(s) })
}

func (w *writer) store(s *controlplane.Store) {
	w.text("Name", s.Name)
	w.text("Id", s.ID.String())
	if s.Comment != nil {
		w.text("Comment", *s.Comment)
	}
	w.text("ARN", s.ARN())
	w.text("Status", string(s.Status))
	w.time("LastModifiedTime", s.LastModified)
}
