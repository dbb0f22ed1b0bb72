// Package utils says nothing.
package utils
