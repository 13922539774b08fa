#!/bin/sh
# build.sh OUT_DIR [r450 | SYMBOL]...: compiles the played driver to OUT_DIR/libnvidia-ml.so.1.
# Each SYMBOL named is missing from it, as in an older driver; r450 stands for all that came after R450 (facts: the API's own
# history). Needs gcc and the Go module cache (nvml.h is the one that go-nvml carries). CC and CFLAGS are honoured. OBJECTS names a folder
# where what was compiled is kept for the next call, which only links.
set -eu
[ $# -ge 1 ] || { echo "usage: build.sh OUT_DIR [r450 | SYMBOL]..." >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
missing=
for name; do
	case $name in
	r450) missing="$missing nvmlDeviceGetMemoryInfo_v2 nvmlDeviceGetComputeRunningProcesses_v2 nvmlDeviceGetComputeRunningProcesses_v3
		nvmlGpmQueryDeviceSupport nvmlGpmSampleAlloc nvmlGpmSampleFree nvmlGpmSampleGet nvmlGpmMigSampleGet nvmlGpmMetricsGet nvmlDeviceGetNumaNodeId
		nvmlDeviceGetCurrentClocksEventReasons nvmlDeviceGetTemperatureV nvmlDeviceGetMarginTemperature nvmlDeviceGetModuleId nvmlDeviceGetGpuMaxPcieLinkGeneration
		nvmlDeviceGetArchitecture nvmlDeviceGetGspFirmwareVersion nvmlDeviceGetPlatformInfo nvmlDeviceGetGpuFabricInfo nvmlDeviceGetGpuFabricInfoV
		nvmlDeviceGetSramEccErrorStatus nvmlDeviceGetNvLinkRemoteDeviceType" ;;
	*) missing="$missing $name" ;;
	esac
done
mkdir -p "$out"
objects=${OBJECTS:-$out}
cc=${CC:-gcc}
for file in play device fields gpm events; do
	[ -n "${OBJECTS:-}" ] && [ -e "$objects/$file.o" ] && continue
	header=${header:-$(cd "$here" && go list -m -f '{{.Dir}}' github.com/NVIDIA/go-nvml)/gen/nvml}
	$cc ${CFLAGS:--O2 -g -Wall -Wextra} -fPIC -fvisibility=hidden -I"$header" -c -o "$objects/$file.o" "$here/$file.c"
done
map=$out/libnvidia-ml.map
{
	echo '{ global: nvml*; local:'
	for name in $missing; do echo "  $name;"; done
	echo '  *; };'
} >"$map"
$cc -shared -Wl,-soname,libnvidia-ml.so.1 -Wl,--version-script="$map" -o "$out/libnvidia-ml.so.1" \
	"$objects/play.o" "$objects/device.o" "$objects/fields.o" "$objects/gpm.o" "$objects/events.o" -lm -lpthread
