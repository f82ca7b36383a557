package kafkacheck

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// The versions of the Metadata request that are used: from 4 on it says that no
// topic is to be made, which brokers know since Kafka 0.11, and up to 8 its
// encoding is the simple one.
const (
	minMetadata = 4
	maxMetadata = 8
)

// checker is immutable once made.
type checker struct {
	dial            check.DialFunc
	address, target string
	tls             *tls.Config // nil without TLS
	options         tlsconf.Options
	login           sasl.Mechanism // nil is not to

	minBrokers int
	topic      string // "" is none
	minISR     int    // 0 is off
}

// Check asks once.
func (c *checker) Check(ctx context.Context) (string, error) {
	raw, err := c.dial(ctx, "tcp", c.address)
	if err != nil {
		return "", check.Failf(check.ReasonOf(err), "%s: no connection: %w", c.target, err)
	}
	defer func() { _ = raw.Close() }()
	// A deadline in the past ends whatever the connection is waiting for.
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	l := &link{conn: raw}
	metadata, err := c.ask(ctx, l)
	if err != nil {
		return "", c.explain(l, err)
	}
	note, err := c.judge(metadata)
	if err != nil {
		return "", c.explain(l, err)
	}
	return note, nil
}

// ask has the whole conversation and returns the metadata.
func (c *checker) ask(ctx context.Context, l *link) (*kmsg.MetadataResponse, error) {
	if c.tls != nil {
		if err := c.handshake(l); err != nil {
			return nil, err
		}
	}
	version, err := negotiate(l)
	if err != nil {
		return nil, err
	}
	if c.login != nil {
		if err := c.authenticate(ctx, l); err != nil {
			return nil, err
		}
	}
	request := kmsg.NewPtrMetadataRequest()
	request.Version = version
	request.Topics = []kmsg.MetadataRequestTopic{} // none; nil would be all
	if c.topic != "" {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &c.topic
		request.Topics = append(request.Topics, t)
	}
	request.AllowAutoTopicCreation = false
	answer := kmsg.NewPtrMetadataResponse()
	return answer, l.call(request, answer)
}

// negotiate asks which versions the broker speaks and returns that of the
// Metadata request to use.
func negotiate(l *link) (int16, error) {
	answer := kmsg.NewPtrApiVersionsResponse()
	if err := l.call(kmsg.NewPtrApiVersionsRequest(), answer); err != nil {
		return 0, err
	}
	if answer.ErrorCode != 0 {
		return 0, check.Failf(check.ReasonProtocol, "answers ApiVersions with the error %s", errorName(answer.ErrorCode))
	}
	const metadata = kmsg.Metadata
	for _, k := range answer.ApiKeys {
		if k.ApiKey != metadata.Int16() {
			continue
		}
		if k.MaxVersion < minMetadata || k.MinVersion > maxMetadata {
			return 0, check.Failf(check.ReasonProtocol, "speaks versions %d to %d of the Metadata request, and one from %d to %d is needed, which brokers speak since Kafka 0.11", k.MinVersion, k.MaxVersion, minMetadata, maxMetadata)
		}
		return min(k.MaxVersion, maxMetadata), nil
	}
	return 0, check.Failf(check.ReasonProtocol, "is not a broker for clients: it does not know the Metadata request; see the listener and, for a KRaft controller, process.roles")
}

// handshake begins TLS.
func (c *checker) handshake(l *link) error {
	config := c.tls.Clone()
	config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		l.asked = "set cert and key"
		for _, own := range config.Certificates {
			l.asked = "it refuses the one that cert has"
			if asked.SupportsCertificate(&own) == nil {
				return &own, nil
			}
		}
		return &tls.Certificate{}, nil
	}
	secure := tls.Client(l.conn, config)
	l.during = "TLS handshake"
	if err := secure.Handshake(); err != nil {
		return tlsconf.ExplainHandshake(err)
	}
	l.conn = net.Conn(secure)
	return c.options.CheckExpiry(secure.ConnectionState(), time.Now())
}
