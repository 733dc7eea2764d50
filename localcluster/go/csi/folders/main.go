// A CSI driver whose volumes are folders of the node's disk, for tests on a local node.
//
// A snapshot is a copy of the folder, made file by file: it is of one moment only while nobody writes.
// https://github.com/container-storage-interface/spec/blob/master/spec.md
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driverName = "folders.csi.localcluster"

type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer
	registration.UnimplementedRegistrationServer
	volumes, snapshots, node, socket string
}

func main() {
	folder := flag.String("folder", "", "where volumes and snapshots are")
	socket := flag.String("socket", "", "where the driver listens")
	registrar := flag.String("registration", "", "the socket by which the kubelet learns of it")
	node := flag.String("node", "", "the node's name")
	flag.Parse()
	d := &driver{
		volumes:   filepath.Join(*folder, "volumes"),
		snapshots: filepath.Join(*folder, "snapshots"),
		node:      *node,
		socket:    *socket,
	}
	for _, path := range []string{d.volumes, d.snapshots, filepath.Dir(*socket)} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			log.Fatal(err)
		}
	}
	failures := make(chan error)
	go serve(*socket, failures, func(server *grpc.Server) {
		csi.RegisterIdentityServer(server, d)
		csi.RegisterControllerServer(server, d)
		csi.RegisterNodeServer(server, d)
	})
	go serve(*registrar, failures, func(server *grpc.Server) {
		registration.RegisterRegistrationServer(server, d)
	})
	log.Fatal(<-failures)
}

func serve(socket string, failures chan<- error, register func(*grpc.Server)) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		failures <- err
		return
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		failures <- err
		return
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(logged))
	register(server)
	failures <- server.Serve(listener)
}

func logged(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (any, error) {
	reply, err := handle(ctx, request)
	log.Printf("%s %v: %v", info.FullMethod, request, err)
	return reply, err
}

func (d *driver) GetInfo(
	context.Context, *registration.InfoRequest,
) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              driverName,
		Endpoint:          d.socket,
		SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (d *driver) NotifyRegistrationStatus(
	_ context.Context, request *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	log.Printf("registered: %v %s", request.PluginRegistered, request.Error)
	return &registration.RegistrationStatusResponse{}, nil
}

func (d *driver) GetPluginInfo(
	context.Context, *csi.GetPluginInfoRequest,
) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: driverName, VendorVersion: "1"}, nil
}

func (d *driver) GetPluginCapabilities(
	context.Context, *csi.GetPluginCapabilitiesRequest,
) (*csi.GetPluginCapabilitiesResponse, error) {
	service := &csi.PluginCapability_Service{Type: csi.PluginCapability_Service_CONTROLLER_SERVICE}
	capability := &csi.PluginCapability{Type: &csi.PluginCapability_Service_{Service: service}}
	return &csi.GetPluginCapabilitiesResponse{
		Capabilities: []*csi.PluginCapability{capability},
	}, nil
}

func (d *driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{Ready: wrapperspb.Bool(true)}, nil
}

func (d *driver) ControllerGetCapabilities(
	context.Context, *csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	reply := &csi.ControllerGetCapabilitiesResponse{}
	for _, kind := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
	} {
		rpc := &csi.ControllerServiceCapability_RPC{Type: kind}
		reply.Capabilities = append(reply.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: rpc},
		})
	}
	return reply, nil
}

// The name that the provisioner chooses is the volume's ID, so a request may be repeated.
func (d *driver) CreateVolume(
	_ context.Context, request *csi.CreateVolumeRequest,
) (*csi.CreateVolumeResponse, error) {
	source := ""
	if content := request.GetVolumeContentSource(); content != nil {
		if content.GetSnapshot() == nil {
			return nil, status.Error(codes.InvalidArgument, "only snapshots are sources")
		}
		path, err := inside(d.snapshots, content.GetSnapshot().GetSnapshotId())
		if err != nil {
			return nil, err
		}
		source = path
	}
	target, err := inside(d.volumes, request.GetName())
	if err != nil {
		return nil, err
	}
	if err := fill(target, source); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{
		VolumeId:      request.GetName(),
		CapacityBytes: request.GetCapacityRange().GetRequiredBytes(),
		ContentSource: request.GetVolumeContentSource(),
	}}, nil
}

func (d *driver) DeleteVolume(
	_ context.Context, request *csi.DeleteVolumeRequest,
) (*csi.DeleteVolumeResponse, error) {
	return &csi.DeleteVolumeResponse{}, remove(d.volumes, request.GetVolumeId())
}

func (d *driver) CreateSnapshot(
	_ context.Context, request *csi.CreateSnapshotRequest,
) (*csi.CreateSnapshotResponse, error) {
	source, err := inside(d.volumes, request.GetSourceVolumeId())
	if err != nil {
		return nil, err
	}
	target, err := inside(d.snapshots, request.GetName())
	if err != nil {
		return nil, err
	}
	if err := fill(target, source); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	info, err := os.Stat(target)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.CreateSnapshotResponse{Snapshot: &csi.Snapshot{
		SnapshotId:     request.GetName(),
		SourceVolumeId: request.GetSourceVolumeId(),
		CreationTime:   timestamppb.New(info.ModTime()),
		ReadyToUse:     true,
	}}, nil
}

func (d *driver) DeleteSnapshot(
	_ context.Context, request *csi.DeleteSnapshotRequest,
) (*csi.DeleteSnapshotResponse, error) {
	return &csi.DeleteSnapshotResponse{}, remove(d.snapshots, request.GetSnapshotId())
}

func (d *driver) NodeGetInfo(
	context.Context, *csi.NodeGetInfoRequest,
) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

func (d *driver) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

func (d *driver) NodePublishVolume(
	_ context.Context, request *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	source, err := inside(d.volumes, request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	target := request.GetTargetPath()
	if mounted(target) {
		return &csi.NodePublishVolumeResponse{}, nil
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return nil, status.Errorf(codes.Internal, "mount of %s: %v", target, err)
	}
	if request.GetReadonly() {
		flags := uintptr(unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY)
		if err := unix.Mount("", target, "", flags, ""); err != nil {
			return nil, status.Errorf(codes.Internal, "remount of %s: %v", target, err)
		}
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (d *driver) NodeUnpublishVolume(
	_ context.Context, request *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	target := request.GetTargetPath()
	if mounted(target) {
		if err := unix.Unmount(target, 0); err != nil {
			return nil, status.Errorf(codes.Internal, "unmount of %s: %v", target, err)
		}
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// fill makes a folder, with what source has, whole or not at all. One that is there stays as it is.
func fill(target, source string) error {
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	partial := target + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if source == "" {
		if err := os.Mkdir(partial, 0o777); err != nil {
			return err
		}
	} else if out, err := exec.Command("cp", "--archive", source, partial).CombinedOutput(); err != nil {
		return fmt.Errorf("copy of %s: %w: %s", source, err, out)
	}
	return os.Rename(partial, target)
}

func remove(folder, id string) error {
	path, err := inside(folder, id)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(path); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}

func inside(folder, id string) (string, error) {
	if id == "" || strings.ContainsAny(id, "/.") {
		return "", status.Errorf(codes.InvalidArgument, "%q is no ID of this driver", id)
	}
	return filepath.Join(folder, id), nil
}

func mounted(path string) bool {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	for _, line := range strings.Split(string(table), "\n") {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == path {
			return true
		}
	}
	return false
}
