// A CSI driver whose volumes are folders, for tests that play the kubelet: it mounts nothing.
//
// A snapshot is a copy of the folder, made file by file: it is of one moment only while nobody writes.
// https://github.com/container-storage-interface/spec/blob/master/spec.md
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const driverName = "folders.csi.localcluster"

type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	volumes, snapshots string
}

func main() {
	folder := flag.String("folder", "", "where volumes and snapshots are")
	socket := flag.String("socket", "", "where the driver listens")
	flag.Parse()
	d := &driver{
		volumes:   filepath.Join(*folder, "volumes"),
		snapshots: filepath.Join(*folder, "snapshots"),
	}
	for _, path := range []string{d.volumes, d.snapshots} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			log.Fatal(err)
		}
	}
	listener, err := net.Listen("unix", *socket)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(logged))
	csi.RegisterIdentityServer(server, d)
	csi.RegisterControllerServer(server, d)
	log.Fatal(server.Serve(listener))
}

func logged(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (any, error) {
	reply, err := handle(ctx, request)
	log.Printf("%s %v: %v", info.FullMethod, request, err)
	return reply, err
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
