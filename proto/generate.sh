#!/bin/sh
# Generates the Go code of every .proto file below this folder. Needs protoc
# (Debian: apt-get install -y protobuf-compiler); the plugins are installed at
# pinned versions into ./bin of the repository.
set -eu

cd "$(dirname "$0")/.."
bin="$PWD/bin"
gen_go=v1.36.12
gen_grpc=v1.6.2

if ! command -v protoc >/dev/null 2>&1; then
	echo "protoc was not found; install it with: apt-get install -y protobuf-compiler" >&2
	exit 3
fi

mkdir -p "$bin"
# has NAME VERSION: is this plugin there at this version?
has() {
	[ -x "$bin/$1" ] && go version -m "$bin/$1" | grep -q "^[[:space:]]*mod[[:space:]].*[[:space:]]$2[[:space:]]"
}
has protoc-gen-go "$gen_go" ||
	GOBIN="$bin" go install "google.golang.org/protobuf/cmd/protoc-gen-go@$gen_go" || exit 3
has protoc-gen-go-grpc "$gen_grpc" ||
	GOBIN="$bin" go install "google.golang.org/grpc/cmd/protoc-gen-go-grpc@$gen_grpc" || exit 3

find proto -name '*.proto' | sort | PATH="$bin:$PATH" xargs protoc -I proto \
	--go_out=proto --go_opt=paths=source_relative \
	--go-grpc_out=proto --go-grpc_opt=paths=source_relative
