package ownip

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// gcp asks the metadata server of Compute Engine. Both sides carry the header
// Metadata-Flavor, so that no other server is taken for it.
func (f *finder) gcp(ctx context.Context) (netip.Addr, error) {
	host := f.options.Getenv(EnvGCP)
	if host == "" {
		host = "metadata.google.internal"
	}
	if strings.ContainsAny(host, "/@?#\\ ") {
		return netip.Addr{}, fmt.Errorf("the environment variable %s is not a host; write HOST or HOST:PORT", EnvGCP)
	}
	got, err := f.send(ctx, http.MethodGet, "http://"+host+"/computeMetadata/v1/instance/network-interfaces/0/ip", "Metadata-Flavor", "Google")
	switch {
	case err != nil:
		return netip.Addr{}, err
	case got.status == http.StatusOK && got.header.Get("Metadata-Flavor") != "Google":
		return netip.Addr{}, errors.New(got.request + " answered without Metadata-Flavor: Google, so it is not the metadata server")
	}
	return got.addr()
}

// azure asks Azure's instance metadata service.
func (f *finder) azure(ctx context.Context) (netip.Addr, error) {
	base, err := f.base(EnvAzure, "http://169.254.169.254")
	if err != nil {
		return netip.Addr{}, err
	}
	got, err := f.send(ctx, http.MethodGet,
		base+"/metadata/instance/network/interface/0/ipv4/ipAddress/0/privateIpAddress?api-version=2021-02-01&format=text", "Metadata", "true")
	if err != nil {
		return netip.Addr{}, err
	}
	return got.addr()
}
