package ownip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// The endpoints of the EC2 instance metadata service.
const (
	ec2Endpoint  = "http://169.254.169.254"
	ec2Endpoint6 = "http://[fd00:ec2::254]"
)

// hopHint is what mends a token that does not arrive: its packet may make one
// hop only unless the instance's options say otherwise, and a container is a
// second one.
const hopHint = "in a container the answer needs a hop limit of 2: aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2 --instance-id ID"

// ec2 asks with a session's token (IMDSv2), and without one where there are no
// tokens (IMDSv1).
func (f *finder) ec2(ctx context.Context) (netip.Addr, error) {
	if strings.EqualFold(f.options.Getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		return netip.Addr{}, errors.New("AWS_EC2_METADATA_DISABLED=true forbids asking; unset it, or choose another source")
	}
	otherwise := ec2Endpoint
	if strings.EqualFold(f.options.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), "ipv6") {
		otherwise = ec2Endpoint6
	}
	base, err := f.base(EnvEC2, otherwise)
	if err != nil {
		return netip.Addr{}, err
	}
	token, err := f.send(ctx, http.MethodPut, base+"/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "60")
	switch {
	case silent(err):
		addr, errV1 := f.ec2Address(ctx, base)
		if errV1 != nil {
			return addr, fmt.Errorf("%w; %s", err, hopHint)
		}
		return addr, nil
	case err != nil:
		return netip.Addr{}, err
	case token.status == http.StatusForbidden:
		return netip.Addr{}, fmt.Errorf("%w: the metadata service is switched off for this instance (aws ec2 modify-instance-metadata-options --http-endpoint enabled switches it on)", token.refused("a token"))
	case token.status != http.StatusOK:
		return f.ec2Address(ctx, base)
	case !isToken(token.body):
		return netip.Addr{}, token.refused("a token")
	}
	return f.ec2Address(ctx, base, "X-aws-ec2-metadata-token", strings.TrimSpace(token.body))
}

// isToken reports whether a text can be a header's value, and is not a page.
func isToken(text string) bool {
	text = strings.TrimSpace(text)
	return text != "" && len(text) <= 1024 && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '<' })
}

// ec2Address asks for the address. An instance with IPv6 alone has no
// local-ipv4.
func (f *finder) ec2Address(ctx context.Context, base string, header ...string) (netip.Addr, error) {
	got, err := f.send(ctx, http.MethodGet, base+"/latest/meta-data/local-ipv4", header...)
	if err == nil && got.status == http.StatusNotFound {
		got, err = f.send(ctx, http.MethodGet, base+"/latest/meta-data/ipv6", header...)
	}
	if err != nil {
		return netip.Addr{}, err
	}
	if got.status == http.StatusUnauthorized && len(header) == 0 {
		return netip.Addr{}, fmt.Errorf("%w: this instance demands a token (IMDSv2), and gave none", got.refused("the instance's IP address"))
	}
	return got.addr()
}

// ecsMetadata is what matters of the metadata of a container or, with
// containers, of a task.
type ecsMetadata struct {
	Networks []struct {
		NetworkMode   string
		IPv4Addresses []string
		IPv6Addresses []string
	}
	Containers []ecsMetadata
}

// A bridgeError says that the task has no address of its own.
type bridgeError struct{ mode string }

func (e *bridgeError) Error() string {
	return fmt.Sprintf("the task's network mode is %s, so the balancer's target is the instance: own_ip: {source: ec2}", harmless(e.mode))
}

func isBridge(err error) bool {
	_, ok := errors.AsType[*bridgeError](err)
	return ok
}

// ecs reads the metadata of this container, or of its task when the container
// has no network of its own there.
func (f *finder) ecs(ctx context.Context) (netip.Addr, error) {
	base, err := f.base(EnvECS, "")
	if err != nil {
		return netip.Addr{}, err
	}
	if base == "" {
		return netip.Addr{}, fmt.Errorf("the environment variable %s is not set, which ECS sets in its containers", EnvECS)
	}
	var got reply
	for _, path := range []string{"", "/task"} {
		if got, err = f.send(ctx, http.MethodGet, base+path); err != nil {
			return netip.Addr{}, err
		}
		var metadata ecsMetadata
		if got.status != http.StatusOK || json.Unmarshal([]byte(got.body), &metadata) != nil {
			return netip.Addr{}, got.refused("the container's metadata, in JSON")
		}
		for _, m := range append([]ecsMetadata{metadata}, metadata.Containers...) {
			if addr, err := m.addr(); err != nil || addr.IsValid() {
				return addr, err
			}
		}
	}
	return netip.Addr{}, got.refused("a network with IPv4Addresses")
}

// addr returns the first address there is, the zero one when there is none.
func (m ecsMetadata) addr() (netip.Addr, error) {
	for _, n := range m.Networks {
		if n.NetworkMode != "awsvpc" && n.NetworkMode != "" {
			return netip.Addr{}, &bridgeError{n.NetworkMode}
		}
		for _, text := range append(n.IPv4Addresses, n.IPv6Addresses...) {
			if addr, err := netip.ParseAddr(text); err == nil && usable(addr) == nil {
				return addr, nil
			}
		}
	}
	return netip.Addr{}, nil
}
