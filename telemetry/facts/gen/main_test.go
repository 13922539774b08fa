package main

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"foretop/telemetry/facts/protofacts"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// TestIsUpToDate holds facts.gen.go against what this program makes of the descriptor in protobuf's own code. That one lacks the comments.
func TestIsUpToDate(t *testing.T) {
	made, err := run(protodesc.ToFileDescriptorProto(protofacts.File_facts_proto))
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../facts.gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(uncommented(t, string(committed)), uncommented(t, made)); d != "" {
		t.Errorf("make generate is due: %s", d)
	}
}

// TestDescriptorIsUpToDate reads facts.proto line by line.
func TestDescriptorIsUpToDate(t *testing.T) {
	source, err := os.ReadFile("../facts.proto")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	message := ""
	begin, field := regexp.MustCompile(`^message (\w+) {`), regexp.MustCompile(`(\w+) = (\d+);`)
	for line := range strings.Lines(string(source)) {
		if m := begin.FindStringSubmatch(line); m != nil {
			message = m[1]
		} else if strings.HasPrefix(line, "enum") {
			message = ""
		}
		line, _, _ = strings.Cut(line, "//")
		if m := field.FindStringSubmatch(line); m != nil && message != "" {
			want = append(want, message+"."+m[1]+" = "+m[2])
		}
	}
	for messages, i := protofacts.File_facts_proto.Messages(), 0; i < messages.Len(); i++ {
		for fields, k := messages.Get(i).Fields(), 0; k < fields.Len(); k++ {
			got = append(got, fmt.Sprintf("%s.%s = %d", messages.Get(i).Name(), fields.Get(k).Name(), fields.Get(k).Number()))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" || len(want) == 0 {
		t.Errorf("make generate is due: %s", d)
	}
}

func TestRefusesWhatTheCodecDoesNotKnow(t *testing.T) {
	type f = descriptorpb.FieldDescriptorProto
	text, number, list := descriptorpb.FieldDescriptorProto_TYPE_STRING, proto.Int32(1), descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	for name, field := range map[string]*f{
		"a list of texts": {Name: proto.String("a"), Number: number, Type: &text, Label: &list},
		"bytes":           {Name: proto.String("a"), Number: number, Type: descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()},
		"a float":         {Name: proto.String("a"), Number: number, Type: descriptorpb.FieldDescriptorProto_TYPE_FLOAT.Enum()},
		"zigzag":          {Name: proto.String("a"), Number: number, Type: descriptorpb.FieldDescriptorProto_TYPE_SINT32.Enum()},
		"fixed width":     {Name: proto.String("a"), Number: number, Type: descriptorpb.FieldDescriptorProto_TYPE_FIXED64.Enum()},
		"a gap":           {Name: proto.String("a"), Number: proto.Int32(2), Type: &text},
	} {
		t.Run(name, func(t *testing.T) {
			made, err := run(&descriptorpb.FileDescriptorProto{Name: proto.String("x.proto"), Syntax: proto.String("proto3"),
				Options:     &descriptorpb.FileOptions{GoPackage: proto.String("x/y")},
				MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("M"), Field: []*f{field}}}})
			if err == nil {
				t.Errorf("made %s", made)
			}
		})
	}
}

func run(file *descriptorpb.FileDescriptorProto) (string, error) {
	p, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{Parameter: proto.String("paths=source_relative"),
		FileToGenerate: []string{file.GetName()}, ProtoFile: []*descriptorpb.FileDescriptorProto{file}})
	if err != nil {
		return "", err
	}
	if err := generate(p); err != nil {
		return "", err
	}
	r := p.Response()
	if r.Error != nil {
		return "", fmt.Errorf("generate: %s", r.GetError())
	}
	return r.File[0].GetContent(), nil
}

func uncommented(t *testing.T, source string) []string {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, "", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := printer.Fprint(&out, files, f); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(out.String(), "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
}
