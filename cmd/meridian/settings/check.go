package settings

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"meridian/replication/identity"
)

// check looks at every value by its field's tags, the defaults included. What has
// a fault already is left alone.
func (l *loader) check(v reflect.Value, prefix string) {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		path := prefix + f.Tag.Get("yaml")
		switch {
		case group(f.Type):
			l.check(value, path+".")
		case l.faulty(path):
		case f.Tag.Get("need") != "" && empty(value):
			l.fault(path, "must be given: %s, e.g. %s", f.Tag.Get("doc"), f.Tag.Get("need"))
		case f.Type.Kind() == reflect.Slice:
			l.checkList(f, value, path)
		case f.Type.Kind() == reflect.String && value.String() != "":
			l.checkText(path, f.Tag.Get("is"), value.String())
		case f.Tag.Get("min") != "":
			l.checkRange(path, f, value)
		}
	}
}

func empty(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Len() == 0 || v.Kind() == reflect.String && v.String() == ""
}

func (l *loader) checkList(f reflect.StructField, list reflect.Value, path string) {
	for i := range list.Len() {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case group(f.Type.Elem()):
			l.check(list.Index(i), at+".")
		case !l.faulty(at):
			l.checkText(at, f.Tag.Get("is"), list.Index(i).String())
		}
	}
}

func (l *loader) checkRange(path string, f reflect.StructField, v reflect.Value) {
	least, most := f.Tag.Get("min"), f.Tag.Get("max")
	var below, above bool
	if v.CanUint() {
		below, above = v.Uint() < uint64(number(least)), v.Uint() > uint64(number(most))
	} else if f.Type == durationType {
		below, above = v.Int() < int64(duration(least)), v.Int() > int64(duration(most))
	} else {
		below, above = v.Int() < number(least), v.Int() > number(most)
	}
	if below || above {
		l.faultOf(path, fmt.Sprint(v.Interface()), "allowed are %s to %s", least, most)
	}
}

// number and duration read tags, which a test has checked.
func number(tag string) int64 {
	n, err := strconv.ParseInt(strings.ReplaceAll(tag, "_", ""), 10, 64)
	if err != nil {
		panic("settings: a min or max tag is no number: " + tag)
	}
	return n
}

func duration(tag string) time.Duration {
	d, err := time.ParseDuration(tag)
	if err != nil {
		panic("settings: a min or max tag is no duration: " + tag)
	}
	return d
}

func (l *loader) checkText(path, is, value string) {
	switch {
	case is == "":
	case is == "name":
		if !identity.ValidName(value) {
			l.faultOf(path, value, "use 1 to 63 of a-z, 0-9 and hyphen, not at the ends")
		}
	case is == "host:port":
		if !hostPort(value) {
			l.faultOf(path, value, "write host:port with a port from 0 to 65535, e.g. 192.0.2.10:7001")
		}
	case is == "address:port":
		if _, err := netip.ParseAddrPort(value); err != nil {
			l.faultOf(path, value, "write an IP address and a port, e.g. 192.0.2.10:1812")
		}
	case is == "file" || is == "secret file":
		switch problem := l.fileProblem(value, is == "secret file"); {
		case problem == "":
		case is == "secret file" && looksSecret(value):
			l.faultOf(path, "", "this looks like the secret itself: write it into a file of mode 0600 and name the file here")
		default:
			l.faultOf(path, value, "%s", problem)
		}
	case strings.Contains(is, "|"):
		for choice := range strings.SplitSeq(is, "|") {
			if value == choice {
				return
			}
		}
		l.faultOf(path, value, "write %s", field{is: is}.bounds())
	default:
		panic("settings: unknown kind of text: " + is)
	}
}

func hostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// fileProblem looks at a file that the configuration names.
func (l *loader) fileProblem(path string, hidden bool) string {
	full := l.path(path)
	info, err := os.Stat(full)
	switch {
	case err != nil:
		return fmt.Sprintf("%v: create the file or correct the path, which is taken from %s", err, l.dir)
	case !info.Mode().IsRegular():
		return full + " is no regular file: name a file"
	case hidden && info.Mode().Perm()&0o077 != 0:
		return fmt.Sprintf("%s has mode %#o and others may read it: run chmod 600 %s", full, info.Mode().Perm(), full)
	}
	return ""
}

// looksSecret tells a key or token from the name of a file: what it holds must not
// be repeated in a fault.
func looksSecret(value string) bool {
	return len(value) >= 16 && !strings.ContainsAny(value, "/.")
}

// path takes a relative path from the file's own folder.
func (l *loader) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(l.dir, p)
}
