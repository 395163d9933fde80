// The version of AxonOps' Schema Registry that tests compare with. Its command is built from the module cache.
//
//go:build tools

package registry

import _ "github.com/axonops/axonops-schema-registry/cmd/schema-registry"
