package catalog_test

import (
	"io/fs"
	"testing"

	centralcatalog "meridian/central/catalog"
	"meridian/deploy/catalog"
)

func TestOfferingsAreValid(t *testing.T) {
	files, err := fs.Glob(catalog.Demo, "demo/*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v; want the two offerings of the demo", files, err)
	}
	for _, file := range files {
		data, err := catalog.Demo.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		offerings, err := centralcatalog.Parse(file, data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if len(offerings) != 1 || file != "demo/"+offerings[0].ID+".yaml" {
			t.Errorf("%s holds %d offerings, the first is %q: want one, of the file's name", file, len(offerings), offerings[0].ID)
		}
	}
}
