package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// script is what go test writes for one package that passes with a skipped
// test, one that fails, one without tests, and a line of a broken tool.
const script = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestQuick"}
{"Action":"output","Package":"m/a","Test":"TestQuick","Output":"=== RUN   TestQuick\n"}
{"Action":"output","Package":"m/a","Test":"TestQuick","Output":"    chatter of a passing test\n"}
{"Action":"output","Package":"m/a","Test":"TestQuick","Output":"--- PASS: TestQuick (0.10s)\n"}
{"Action":"pass","Package":"m/a","Test":"TestQuick","Elapsed":0.1}
{"Action":"output","Package":"m/a","Test":"TestSkipped","Output":"=== RUN   TestSkipped\n"}
{"Action":"output","Package":"m/a","Test":"TestSkipped","Output":"    a_test.go:7: no server\n"}
{"Action":"output","Package":"m/a","Test":"TestSkipped","Output":"--- SKIP: TestSkipped (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestSkipped","Elapsed":0}
{"Action":"output","Package":"m/a","Output":"PASS\n"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.2s\n"}
{"Action":"pass","Package":"m/a","Elapsed":0.2}
# a tool says something
{"ImportPath":"m/x","Action":"build-output","Output":"x.go:1: syntax error\n"}
{"Action":"output","Package":"m/b","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"m/b","Test":"TestBad/good","Output":"    inner chatter\n"}
{"Action":"pass","Package":"m/b","Test":"TestBad/good","Elapsed":0}
{"Action":"output","Package":"m/b","Test":"TestBad","Output":"    b_test.go:9: got 1, want 2\n"}
{"Action":"output","Package":"m/b","Test":"TestBad","Output":"--- FAIL: TestBad (1.50s)\n"}
{"Action":"fail","Package":"m/b","Test":"TestBad","Elapsed":1.5}
{"Action":"output","Package":"m/b","Output":"FAIL\n"}
{"Action":"output","Package":"m/b","Output":"FAIL\tm/b\t1.6s\n"}
{"Action":"fail","Package":"m/b","Elapsed":1.6}
{"Action":"output","Package":"m/c","Output":"?   \tm/c\t[no test files]\n"}
{"Action":"skip","Package":"m/c","Elapsed":0}
`

func read(t *testing.T, script string) (*report, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	r := newReport(&out)
	if err := r.read(strings.NewReader(script)); err != nil {
		t.Fatal(err)
	}
	return r, &out
}

func TestOutputIsThatOfGoTest(t *testing.T) {
	r, out := read(t, script)
	want := `ok  	m/a	0.2s
# a tool says something
x.go:1: syntax error
    b_test.go:9: got 1, want 2
--- FAIL: TestBad (1.50s)
FAIL
FAIL	m/b	1.6s
`
	if out.String() != want {
		t.Errorf("output:\n%s\nwant:\n%s", out, want)
	}
	if !r.failed() {
		t.Error("the run did not fail")
	}
}

func TestSummary(t *testing.T) {
	r, out := read(t, script)
	out.Reset()
	clean := r.summary(1, []testID{{"m/a", "TestQuick"}, {"m/a", "TestSkipped"}, {"m/z", "TestGone"}, {"m/b", "TestBad"}})
	r.packageLines()
	want := `
Slowest tests:
      1.50s  m/b TestBad

Skipped:
  m/a TestSkipped: a_test.go:7: no server

Required and not run:
  m/a TestSkipped: skip
  m/z TestGone: did not run

ok  	m/a	0.2s
FAIL	m/b	1.6s
`
	if out.String() != want {
		t.Errorf("summary:\n%s\nwant:\n%s", out, want)
	}
	if clean {
		t.Error("a run with a skipped test counts as clean")
	}
}

func TestCleanRun(t *testing.T) {
	r, _ := read(t, `{"Action":"pass","Package":"m/a","Test":"TestQuick","Elapsed":0.1}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.2s\n"}
{"Action":"pass","Package":"m/a","Elapsed":0.2}
`)
	if !r.summary(20, []testID{{"m/a", "TestQuick"}}) || r.failed() {
		t.Error("a run in which all passed is not clean")
	}
}

func TestPackageThatNeverEnds(t *testing.T) {
	r, out := read(t, `{"Action":"output","Package":"m/a","Test":"TestHang","Output":"    last words\n"}`+"\n")
	if want := "    last words\nFAIL\tm/a [did not end]\n"; out.String() != want || !r.failed() {
		t.Errorf("output %q failed %t, want %q and a failure", out, r.failed(), want)
	}
}

func TestOutputIsBounded(t *testing.T) {
	r := newReport(&bytes.Buffer{})
	for range 3 {
		r.add(event{Action: "output", Package: "m/a", Test: "TestLoud", Output: strings.Repeat("x", maxOutputBytes/2+1)})
	}
	if s := r.open["m/a"]; s.bytes > maxOutputBytes || !s.truncated {
		t.Errorf("kept %d bytes (truncated %t), limit %d", s.bytes, s.truncated, maxOutputBytes)
	}
}

func TestSplit(t *testing.T) {
	own, groups := split(strings.Fields("-slowest 3 -- -race ./a ./b -- -timeout 10m -- -timeout 10m ./c --"))
	if want := strings.Fields("-slowest 3"); !reflect.DeepEqual(own, want) {
		t.Errorf("own = %q, want %q", own, want)
	}
	want := [][]string{{"-race", "./a", "./b"}, {"-timeout", "10m", "./c"}}
	if !reflect.DeepEqual(groups, want) {
		t.Errorf("groups = %q, want %q", groups, want)
	}
}

func TestReadRequired(t *testing.T) {
	path := filepath.Join(t.TempDir(), "required.txt")
	for content, ok := range map[string]bool{"# none\n\nm/a TestQuick\n": true, "m/a\n": false, "m/a Test more\n": false} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		ids, err := readRequired(path)
		if (err == nil) != ok {
			t.Errorf("readRequired(%q) = %v, %v; want success %t", content, ids, err, ok)
		}
		if ok && !reflect.DeepEqual(ids, []testID{{"m/a", "TestQuick"}}) {
			t.Errorf("readRequired(%q) = %v", content, ids)
		}
	}
	if _, err := readRequired("required.txt"); err != nil {
		t.Errorf("the repository's own list: %v", err)
	}
}

// TestRun runs go test for real, in a module of its own.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"go.mod":         "module tiny\n\ngo 1.26\n",
		"good/a_test.go": "package good\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) {}\n",
		"skip/a_test.go": "package skip\n\nimport \"testing\"\n\nfunc TestSkip(t *testing.T) { t." + "Skip(\"because\") }\n",
		"fail/a_test.go": "package fail\n\nimport \"testing\"\n\nfunc TestFail(t *testing.T) { t.Fatal(\"broken\") }\n",
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	cases := []struct {
		args   string
		strict bool
		code   int
		says   string
		last   string // the last line, up to the first tab or its end
	}{
		{"-- ./good", true, exitOK, "ok  \ttiny/good", "ok  "},
		{"-- ./skip", false, exitOK, "tiny/skip TestSkip: a_test.go:5: because", "ok  "},
		{"-- ./skip", true, exitFailed, "CI=true", "FAIL"},
		{"-- ./fail -- ./good", false, exitFailed, "broken", "FAIL"},
		{"", false, exitUsage, "", ""},
		{"-required none -- ./good", false, exitUsage, "", ""},
	}
	for _, c := range cases {
		var out, errs bytes.Buffer
		code := run(t.Context(), strings.Fields(c.args), &out, &errs, c.strict)
		if code != c.code {
			t.Errorf("%q strict %t: exit %d, want %d\n%s%s", c.args, c.strict, code, c.code, &out, &errs)
			continue
		}
		lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		last, _, _ := strings.Cut(lines[len(lines)-1], "\t")
		if !strings.Contains(out.String(), c.says) || last != c.last {
			t.Errorf("%q strict %t: does not say %q, or ends with %q instead of %q\n%s", c.args, c.strict, c.says, last, c.last, &out)
		}
	}
}
