package accelerators

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// tpuProto is the TPU runtime's metric service as a descriptor: real protobuf and a real gRPC server speak it.
const tpuProto = `
name: "tpu_metric_service.proto" package: "tpu.monitoring.runtime" syntax: "proto3"
message_type { name: "Exemplar" field { name: "value" number: 1 type: TYPE_DOUBLE label: LABEL_OPTIONAL } }
message_type { name: "Distribution"
  field { name: "count" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL } field { name: "mean" number: 2 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
  field { name: "bucket_counts" number: 7 type: TYPE_INT64 label: LABEL_REPEATED } }
message_type { name: "Timestamp" field { name: "seconds" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL } }
message_type { name: "Gauge" oneof_decl { name: "value" }
  field { name: "as_double" number: 1 type: TYPE_DOUBLE label: LABEL_OPTIONAL oneof_index: 0 } field { name: "as_int" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "as_string" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 } field { name: "as_bool" number: 4 type: TYPE_BOOL label: LABEL_OPTIONAL oneof_index: 0 } }
message_type { name: "Counter" oneof_decl { name: "value" }
  field { name: "as_double" number: 1 type: TYPE_DOUBLE label: LABEL_OPTIONAL oneof_index: 0 } field { name: "as_int" number: 2 type: TYPE_UINT64 label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "exemplar" number: 3 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.Exemplar" label: LABEL_OPTIONAL } }
message_type { name: "AttrValue" oneof_decl { name: "attr" }
  field { name: "string_attr" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 } field { name: "bool_attr" number: 2 type: TYPE_BOOL label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "int_attr" number: 3 type: TYPE_INT64 label: LABEL_OPTIONAL oneof_index: 0 } field { name: "double_attr" number: 4 type: TYPE_DOUBLE label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "kvlist_attr" number: 6 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.KeyValueList" label: LABEL_OPTIONAL oneof_index: 0 } }
message_type { name: "KeyValueList" field { name: "attributes" number: 1 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.Attribute" label: LABEL_REPEATED } }
message_type { name: "Attribute" field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.AttrValue" label: LABEL_OPTIONAL } }
message_type { name: "Metric" oneof_decl { name: "measure" }
  field { name: "attribute" number: 1 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.Attribute" label: LABEL_OPTIONAL }
  field { name: "timestamp" number: 2 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.Timestamp" label: LABEL_OPTIONAL }
  field { name: "gauge" number: 3 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.Gauge" label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "counter" number: 4 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.Counter" label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "distribution" number: 5 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.Distribution" label: LABEL_OPTIONAL oneof_index: 0 } }
message_type { name: "TPUMetric" field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } field { name: "description" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "metrics" number: 3 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.Metric" label: LABEL_REPEATED } }
message_type { name: "MetricRequest" field { name: "metric_name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "skip_node_aggregation" number: 2 type: TYPE_BOOL label: LABEL_OPTIONAL } }
message_type { name: "MetricResponse" field { name: "metric" number: 1 type: TYPE_MESSAGE type_name: ".tpu.monitoring.runtime.TPUMetric" label: LABEL_OPTIONAL } }
`

var tpuMessages = sync.OnceValue(func() protoreflect.MessageDescriptors {
	var d descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(tpuProto), &d); err != nil {
		panic(err)
	}
	f, err := protodesc.NewFile(&d, nil)
	if err != nil {
		panic(err)
	}
	return f.Messages()
})

// tpuMessage makes a message of prototext.
func tpuMessage(t testing.TB, name protoreflect.Name, text string) proto.Message {
	t.Helper()
	m := dynamicpb.NewMessage(tpuMessages().ByName(name))
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// gauges is a MetricResponse with one value a device, as libtpu writes it.
func gauges(format string, values ...any) string {
	var b strings.Builder
	b.WriteString("metric { ")
	for i, v := range values {
		fmt.Fprintf(&b, `metrics { attribute { key: "device-id" value { int_attr: %d } } timestamp { seconds: 1795440000 } gauge { %s: %v } } `, i, format, v)
	}
	return b.String() + "}"
}

// tpuServer is a gRPC server with the vendor's service.
type tpuServer struct {
	t    testing.TB
	port int
	grpc *grpc.Server

	mu      sync.Mutex
	answers map[string]string // by metric; a missing one is unknown
	asked   map[string]int
	before  func(context.Context, string) error // called before each answer; may be nil
	conns   int
}

func (s *tpuServer) set(metric, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[metric] = answer
}

func (s *tpuServer) count(metric string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[metric]
}

func (s *tpuServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// startTPU serves on a port of this machine; port 0 is any.
func startTPU(t testing.TB, port int, options ...grpc.ServerOption) *tpuServer {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	s := &tpuServer{t: t, port: l.Addr().(*net.TCPAddr).Port, grpc: grpc.NewServer(options...), answers: map[string]string{}, asked: map[string]int{}}
	s.grpc.RegisterService(&grpc.ServiceDesc{ServiceName: "tpu.monitoring.runtime.RuntimeMetricService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "GetRuntimeMetric", Handler: s.answer}}}, s)
	go s.grpc.Serve(counting{l, s})
	t.Cleanup(s.grpc.Stop)
	return s
}

func (s *tpuServer) answer(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := dynamicpb.NewMessage(tpuMessages().ByName("MetricRequest"))
	if err := decode(request); err != nil {
		return nil, err
	}
	name := request.Get(request.Descriptor().Fields().ByName("metric_name")).String()
	s.mu.Lock()
	before := s.before
	s.asked[name]++
	answer, ok := s.answers[name]
	s.mu.Unlock()
	if before != nil {
		if err := before(ctx, name); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, status.Errorf(codes.NotFound, "unknown metric %q", name)
	}
	return tpuMessage(s.t, "MetricResponse", answer), nil
}

// counting counts connections.
type counting struct {
	net.Listener
	s *tpuServer
}

func (l counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.s.mu.Lock()
		l.s.conns++
		l.s.mu.Unlock()
	}
	return c, err
}
