// Package kinds lists the kinds of check.
package kinds

import (
	"hale/internal/check"
	"hale/internal/kinds/amqpcheck"
	"hale/internal/kinds/celerycheck"
	"hale/internal/kinds/diskcheck"
	"hale/internal/kinds/dnscheck"
	"hale/internal/kinds/dockercheck"
	"hale/internal/kinds/execcheck"
	"hale/internal/kinds/filecheck"
	"hale/internal/kinds/grpccheck"
	"hale/internal/kinds/httpcheck"
	"hale/internal/kinds/icmpcheck"
	"hale/internal/kinds/kafkacheck"
	"hale/internal/kinds/loadcheck"
	"hale/internal/kinds/memcachedcheck"
	"hale/internal/kinds/memorycheck"
	"hale/internal/kinds/mountcheck"
	"hale/internal/kinds/mysqlcheck"
	"hale/internal/kinds/natscheck"
	"hale/internal/kinds/ntpcheck"
	"hale/internal/kinds/postgrescheck"
	"hale/internal/kinds/processcheck"
	"hale/internal/kinds/redischeck"
	"hale/internal/kinds/smtpcheck"
	"hale/internal/kinds/supervisorcheck"
	"hale/internal/kinds/systemdcheck"
	"hale/internal/kinds/tcpcheck"
	"hale/internal/kinds/tlscheck"
	"hale/internal/kinds/zookeepercheck"
)

// All returns every kind of check, sorted by scheme.
func All() []check.Kind {
	return []check.Kind{
		amqpcheck.Kind(),
		amqpcheck.KindTLS(),
		celerycheck.KindAMQP(),
		celerycheck.KindAMQPTLS(),
		celerycheck.KindRedis(),
		celerycheck.KindRedisTLS(),
		diskcheck.Kind(),
		dnscheck.Kind(),
		dockercheck.Kind(),
		execcheck.Kind(),
		filecheck.Kind(),
		grpccheck.Kind(),
		grpccheck.KindTLS(),
		httpcheck.Kind(),
		httpcheck.KindTLS(),
		icmpcheck.Kind(),
		kafkacheck.Kind(),
		kafkacheck.KindTLS(),
		loadcheck.Kind(),
		memcachedcheck.Kind(),
		memorycheck.Kind(),
		mountcheck.Kind(),
		mysqlcheck.Kind(),
		natscheck.Kind(),
		natscheck.KindTLS(),
		ntpcheck.Kind(),
		postgrescheck.Kind(),
		postgrescheck.KindLong(),
		processcheck.Kind(),
		redischeck.Kind(),
		redischeck.KindTLS(),
		smtpcheck.Kind(),
		smtpcheck.KindTLS(),
		supervisorcheck.Kind(),
		systemdcheck.Kind(),
		tcpcheck.Kind(),
		tlscheck.Kind(),
		zookeepercheck.Kind(),
	}
}
