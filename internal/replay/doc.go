// Package replay prices a usage record again from what stands in it and in the
// charges of its cut, by the version that priced it or by another one.
//
// It owns the reconstruction: the state that the record names, its reports in
// their order, and a wallet of what paid. What usage costs is rating's, who pays
// is charging's; the package keeps nothing and knows no other record.
package replay
