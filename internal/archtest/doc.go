// Package archtest holds Meridian's layering and its mechanical rules of style
// as a test.
//
// It owns the import table (rules.go), each line of which says why it is so, and
// the checks of what a reader should be able to take for granted: a core without
// clock, randomness, input, output or floating point; SQL in one place; packages
// that say what they are; files that fit a sitting.
//
// It reads source text only (go/parser). It neither builds nor runs anything,
// so it tells about a package that does not compile, too. What needs types, such
// as ranging over a map, is for review and for other tests.
//
// A new package needs a line in the table unless a pattern covers it.
package archtest
