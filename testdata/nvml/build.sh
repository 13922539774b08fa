#!/bin/sh
# build.sh OUT_DIR [r450 | SYMBOL]...: compiles the played driver to OUT_DIR/libnvidia-ml.so.1.
# Each SYMBOL named is missing from it, as in an older driver; r450 stands for all that came after R450 (facts: the API's own
# history). Needs gcc and the Go module cache (nvml.h is the one that go-nvml carries). CC and CFLAGS are honoured.
set -eu
[ $# -ge 1 ] || { echo "usage: build.sh OUT_DIR [r450 | SYMBOL]..." >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
header=$(cd "$here" && go list -m -f '{{.Dir}}' github.com/NVIDIA/go-nvml)/gen/nvml
missing=
for name; do
	case $name in
	r450) missing="$missing nvmlDeviceGetMemoryInfo_v2 nvmlDeviceGetComputeRunningProcesses_v2 nvmlDeviceGetComputeRunningProcesses_v3
		nvmlGpmQueryDeviceSupport nvmlGpmSampleAlloc nvmlGpmSampleFree nvmlGpmSampleGet nvmlGpmMetricsGet nvmlDeviceGetNumaNodeId
		nvmlDeviceGetCurrentClocksEventReasons nvmlDeviceGetTemperatureV nvmlDeviceGetModuleId nvmlDeviceGetGpuMaxPcieLinkGeneration" ;;
	*) missing="$missing $name" ;;
	esac
done
mkdir -p "$out"
map=$out/libnvidia-ml.map
{
	echo '{ global: nvml*; local:'
	for name in $missing; do echo "  $name;"; done
	echo '  *; };'
} >"$map"
${CC:-gcc} ${CFLAGS:--O2 -g -Wall -Wextra} -shared -fPIC -fvisibility=hidden -I"$header" -Wl,-soname,libnvidia-ml.so.1 \
	-Wl,--version-script="$map" -o "$out/libnvidia-ml.so.1" "$here/libnvidia-ml.c" -lm -lpthread
