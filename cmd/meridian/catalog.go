package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/exitcode"
	"meridian/internal/rating"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
)

func catalogCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "catalog", Short: "Check, compare and simulate tariff sheets, and see where the published ones are",
		Long: "Tariff sheets are YAML or JSON; deploy/catalog/README.md says how they are written, deploy/catalog/schema.json\n" +
			"is their JSON Schema.",
		Example: "  meridian catalog validate deploy/catalog/demo/*.yaml\n  meridian catalog diff current.yaml draft.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c := &ctl{}
	status := c.catalogStatus("meridian catalog status --token-file .demo/keys/admin.token")
	c.flags(status.Flags())
	status.MarkFlagsMutuallyExclusive("token", "token-file")
	cmd.AddCommand(validateCommand(), diffCommand(), simulateCommand(), schemaCommand(), status)
	return cmd
}

// tableHelp is the help of --table.
const tableHelp = "`name=file` of a shared table of prefixes, CSV with the columns prefix and zone"

// maxSheet bounds a tariff sheet's size.
const maxSheet = 64 << 20

// readSheet reads a file's offerings, with the prefix tables that lie beside it.
// Faults of the sheet come as sheet.Faults.
func readSheet(file string, tables map[string]*rating.Prefixes) ([]tariff.Offering, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, exitcode.Misuse("tariff sheet: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSheet+1))
	if err != nil {
		return nil, exitcode.Misuse("tariff sheet: %w", err)
	}
	if len(data) > maxSheet {
		return nil, exitcode.Misuse("tariff sheet %s has more than %d octets: split it", file, maxSheet)
	}
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, exitcode.Misuse("tariff sheet: %w", err)
	}
	defer root.Close()
	return sheet.Read(file, data, root.FS(), ratable(tables))
}

// checkedFile is what validate says of a file.
type checkedFile struct {
	File      string            `json:"file"`
	OK        bool              `json:"ok"`
	Offerings []checkedOffering `json:"offerings,omitempty"`
	Faults    sheet.Faults      `json:"faults,omitempty"`
}

type checkedOffering struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Live     bool     `json:"live"` // the edges execute all of it
	NotLive  []string `json:"not_live,omitempty"`
	Warnings []string `json:"warnings,omitempty"` // valid, and hardly meant
}

func validateCommand() *cobra.Command {
	var asJSON bool
	var shared []string
	cmd := &cobra.Command{
		Use: "validate FILE…", Short: "Check tariff sheets and name every fault",
		Long: "Reads the sheets and prints every fault with file, line, column, path, value and remedy; exit status 1 when\n" +
			"there is one. Of a sheet without faults it says which parts the edges do not execute yet: publishing refuses\n" +
			"those. What is valid and hardly meant is warned of.",
		Example: "  meridian catalog validate deploy/catalog/demo/*.yaml\n  meridian catalog validate --json draft.yaml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exitcode.Misuse("no file was given: name the sheets to check")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			tables, err := readTables(shared)
			if err != nil {
				return err
			}
			var files []checkedFile
			faults, broken := 0, 0
			for _, name := range args {
				f, err := checkSheet(name, tables)
				if err != nil {
					return err
				}
				if files = append(files, f); !f.OK {
					faults, broken = faults+len(f.Faults), broken+1
				}
			}
			if err := printChecked(cmd.OutOrStdout(), files, asJSON); err != nil {
				return exitcode.Check("print: %w", err)
			}
			if broken > 0 {
				return exitcode.Check("%d faults in %d of %d files: correct them at the places named", faults, broken, len(files))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array, one object for each file")
	cmd.Flags().StringSliceVar(&shared, "table", nil, tableHelp)
	return cmd
}

func checkSheet(name string, tables map[string]*rating.Prefixes) (checkedFile, error) {
	f := checkedFile{File: name}
	offerings, err := readSheet(name, tables)
	if errors.As(err, &f.Faults) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	f.OK = true
	for i := range offerings {
		o := &offerings[i]
		c := checkedOffering{ID: o.ID, Name: o.Name, Live: true}
		for _, fault := range tariff.Faults(o.Publishable()) {
			c.Live, c.NotLive = false, append(c.NotLive, fault.Path)
		}
		for _, fault := range tariff.Faults(o.Warnings()) {
			c.Warnings = append(c.Warnings, fault.Error())
		}
		f.Offerings = append(f.Offerings, c)
	}
	return f, nil
}

func printChecked(out io.Writer, files []checkedFile, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(files)
	}
	var b strings.Builder
	for _, f := range files {
		for _, fault := range f.Faults {
			fmt.Fprintln(&b, fault)
		}
		for _, o := range f.Offerings {
			fmt.Fprintf(&b, "%s: %s is valid", f.File, o.ID)
			if !o.Live {
				fmt.Fprintf(&b, "; the edges do not execute yet: %s", strings.Join(o.NotLive, ", "))
			}
			fmt.Fprintln(&b)
			for _, w := range o.Warnings {
				fmt.Fprintf(&b, "%s: %s: warning: %s\n", f.File, o.ID, w)
			}
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func diffCommand() *cobra.Command {
	var asJSON bool
	var shared []string
	cmd := &cobra.Command{
		Use: "diff A B", Short: "Say in words what changes from one tariff sheet to another",
		Long: "Offerings are matched by id, their parts by name. Exit status 0 whether they differ or not; 1 when a sheet has\n" +
			"faults.",
		Example: "  meridian catalog diff current.yaml draft.yaml\n  meridian catalog diff --json current.yaml draft.yaml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return exitcode.Misuse("%d files were given: name the sheet before and the sheet after", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			tables, err := readTables(shared)
			if err != nil {
				return err
			}
			var sides [2][]tariff.Offering
			for i, name := range args {
				if sides[i], err = readSheet(name, tables); err != nil {
					return faulty(name, err)
				}
			}
			return printChanges(cmd.OutOrStdout(), sheet.Compare(sides[0], sides[1]), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array, one object for each change")
	cmd.Flags().StringSliceVar(&shared, "table", nil, tableHelp)
	return cmd
}

// faulty gives the faults of a sheet their exit status.
func faulty(name string, err error) error {
	var faults sheet.Faults
	if errors.As(err, &faults) {
		return exitcode.Check("%s has %d faults:\n%w", name, len(faults), err)
	}
	return err
}

func printChanges(out io.Writer, changes []sheet.Change, asJSON bool) error {
	if asJSON {
		if changes == nil {
			changes = []sheet.Change{}
		}
		return json.NewEncoder(out).Encode(changes)
	}
	var b strings.Builder
	if len(changes) == 0 {
		b.WriteString("nothing changes\n")
	}
	last := ""
	for _, c := range changes {
		if c.Offering != last {
			fmt.Fprintf(&b, "%s\n", c.Offering)
			last = c.Offering
		}
		fmt.Fprintf(&b, "  - %s\n", c.Says)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of tariff sheets", Example: "  meridian catalog schema > schema.json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(sheet.Schema())
			return err
		},
	}
}
