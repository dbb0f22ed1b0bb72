// Package meridianv1 is the generated form of the wire messages between the
// processes of Meridian: the link between a region and the centre, and the
// passing of commands from followers to their leader. It owns shapes only; the
// packages that speak these messages convert at their edge, so that nobody
// else needs this one. Regenerate with proto/generate.sh.
package meridianv1
