package logging

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsAreRedacted(t *testing.T) {
	for _, format := range []string{Text, JSON} {
		var out bytes.Buffer
		log, err := New(&out, Config{Level: "debug", Format: format})
		if err != nil {
			t.Fatal(err)
		}
		log.With("apiToken", "hush-1").Debug("login",
			"password", "hush-2", "NAS_Shared_Secret", "hush-3", "user", "user000001",
			slog.Group("secrets", "first", "hush-4"), slog.Group("nas", "secret", []byte("hush-5")))
		if strings.Contains(out.String(), "hush") {
			t.Errorf("%s: a secret is in the log: %s", format, &out)
		}
		if !strings.Contains(out.String(), "user000001") || strings.Count(out.String(), Redacted) != 5 {
			t.Errorf("%s: want the user and five redactions: %s", format, &out)
		}
	}
}

func TestFormatAndLevel(t *testing.T) {
	var out bytes.Buffer
	log, err := New(&out, Config{Level: "WARN", Format: JSON})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud", "n", 1)
	var line struct {
		Level, Msg string
		N          int
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not one JSON object: %v: %s", err, &out)
	}
	if line.Level != "WARN" || line.Msg != "loud" || line.N != 1 {
		t.Errorf("logged %+v", line)
	}
}

func TestValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	_, err := New(nil, Config{Level: "loud", Format: "xml"})
	if err == nil || !strings.Contains(err.Error(), `"loud"`) || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("New = %v, want both faults", err)
	}
}
