package sheet

import (
	"bytes"
	"encoding/json"

	"meridian/internal/invariant"
)

// Schema is the language as a JSON Schema (draft 2020-12) of one offering or a
// list of them: what an editor needs to help while a sheet is written. It is made
// from the reader's own table. What depends on other fields (names that refer to
// others, the unit of a measure, limits) is checked by the reader alone.
func Schema() []byte {
	defs := map[string]any{}
	for _, t := range language() {
		properties, required := map[string]any{}, []string{}
		for i := range t.fields {
			f := &t.fields[i]
			properties[f.name] = schemaOf(f)
			if f.required {
				required = append(required, f.name)
			}
		}
		def := map[string]any{"type": "object", "description": t.doc, "additionalProperties": false, "properties": properties}
		if len(required) > 0 {
			def["required"] = required
		}
		defs[t.name] = def
	}
	offering := map[string]any{"$ref": "#/$defs/offering"}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "Tariff sheet",
		"oneOf":   []any{offering, map[string]any{"type": "array", "minItems": 1, "maxItems": MaxOfferings, "items": offering}},
		"$defs":   defs,
	})
	invariant.Check(err == nil, "schema: %v", err)
	return b.Bytes()
}

func schemaOf(f *field) map[string]any {
	s := formSchema(f)
	if f.many {
		s = map[string]any{"type": "array", "items": s}
	}
	s["description"] = f.doc
	return s
}

// formSchema is the shape of one value. Patterns accept what the reader's parsers
// accept, and little more.
func formSchema(f *field) map[string]any {
	pattern := func(p string) map[string]any { return map[string]any{"type": "string", "pattern": "^" + p + "$"} }
	const decimals = `-?[0-9]+(\.[0-9]{1,6})?`
	switch f.form {
	case choice:
		return map[string]any{"enum": f.choices}
	case count:
		return map[string]any{"type": "integer"}
	case yesNo:
		return map[string]any{"type": "boolean"}
	case amount:
		return pattern(decimals)
	case instant:
		return map[string]any{"type": "string", "format": "date-time"}
	case clock:
		return pattern(`[0-2][0-9]:[0-5][0-9](:[0-5][0-9])?`)
	case span:
		return numberOr(`[0-9]+ ?[smhd]?`)
	case speed:
		return numberOr(`[0-9]+ ?([kMG]?bit)?(/s)?`)
	case measure:
		return numberOr(`[0-9]+(\.[0-9]{1,6})? ?([kKMGT]i?B|B|[smhd])?`)
	case threshold:
		return numberOr(`[0-9]+(\.[0-9]{1,6})? ?([kKMGT]i?B|B|[smhd]|%)?`)
	case percent:
		return pattern(`[0-9]+(\.[0-9]{1,4})? ?%`)
	case price:
		return pattern(`[0-9]+(\.[0-9]{1,6})?( per .+| ?%)?`)
	case ratio:
		return numberOr(`[0-9]+(\.[0-9]{1,6})?( ?/ ?[0-9]+)?`)
	case period:
		return pattern(`([0-9]+ )?(days?|weeks?|half-months?|months?|years?)`)
	case date:
		return map[string]any{"type": "string", "format": "date"}
	case weekday:
		const day = `(mon|tue|wed|thu|fri|sat|sun)`
		return pattern(day + `(-` + day + `)?`)
	case record:
		return map[string]any{"$ref": "#/$defs/" + f.of}
	case csvFile:
		return pattern(`[^/\\]+`)
	}
	return map[string]any{"type": "string"}
}

func numberOr(p string) map[string]any {
	return map[string]any{"type": []string{"string", "integer"}, "pattern": "^" + p + "$", "minimum": 0}
}
