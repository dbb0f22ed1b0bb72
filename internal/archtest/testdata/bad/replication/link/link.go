// Package link imports a command.
package link

import "meridian/cmd/meridian"
