package catalog_test

import (
	"bytes"
	"io/fs"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"meridian/deploy/catalog"
	"meridian/internal/sheet"
)

func TestOfferingsAreValid(t *testing.T) {
	schema := compile(t)
	files, err := fs.Glob(catalog.Demo, "demo/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v; want the three offerings of the demo", files, err)
	}
	for _, file := range files {
		data, err := catalog.Demo.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, schema, file, data)
		offerings, err := sheet.Read(file, data, nil)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if len(offerings) != 1 || file != "demo/"+offerings[0].ID+".yaml" {
			t.Errorf("%s holds %d offerings, the first is %q: want one, of the file's name", file, len(offerings), offerings[0].ID)
			continue
		}
		if err := offerings[0].Live(); err != nil {
			t.Errorf("%s cannot be published: %v", file, err)
		}
	}
}

// compile reads the published schema; internal/sheet proves that it is current.
func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func passes(t *testing.T, schema *jsonschema.Schema, file string, data []byte) {
	t.Helper()
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%s does not pass the published schema: %v", file, err)
	}
}
