// Package sheet reads tariff sheets: offerings in the catalog's language, written
// as YAML or JSON, with prefix tables inline or in a CSV file beside.
//
// One table of fields (fields.go) is the language: the reader, the published JSON
// Schema (deploy/catalog/schema.json) and the words of a comparison all come from
// it. Nothing in a sheet is executed. The package does not own what an offering
// may say (internal/tariff validates it), prices nothing and opens no file that it
// was not given.
package sheet
