// Writes the SDK of a Pulumi package from its schema, as `pulumi package gen-sdk` does where the official language hosts are installed.
//
//	go run ./sdkgen python|nodejs schema.json DIRECTORY
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

// Loads the packages that the schema refers to: it refers to none.
type others struct{ schema.ReferenceLoader }

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("usage: sdkgen python|nodejs SCHEMA DIRECTORY"))
	}
	if err := generate(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fail(err)
	}
}

func generate(language, file, directory string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	pkg, err := schema.ImportSpec(spec, map[string]schema.Language{"python": python.Importer, "nodejs": nodejs.Importer}, others{}, schema.ValidationOptions{})
	if err != nil {
		return err
	}
	var files map[string][]byte
	switch language {
	case "python":
		files, err = python.GeneratePackage("spotlane", pkg, nil, others{})
	case "nodejs":
		files, err = nodejs.GeneratePackage("spotlane", pkg, nil, nil, true, others{})
	default:
		err = fmt.Errorf("no SDK for %q: python or nodejs", language)
	}
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "sdkgen:", err)
	os.Exit(1)
}
