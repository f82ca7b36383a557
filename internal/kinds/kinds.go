// Package kinds lists the kinds of check.
package kinds

import (
	"hale/internal/check"
	"hale/internal/kinds/execcheck"
	"hale/internal/kinds/filecheck"
	"hale/internal/kinds/httpcheck"
	"hale/internal/kinds/postgrescheck"
	"hale/internal/kinds/redischeck"
	"hale/internal/kinds/tcpcheck"
	"hale/internal/kinds/zookeepercheck"
)

// All returns every kind of check, sorted by scheme.
func All() []check.Kind {
	return []check.Kind{
		execcheck.Kind(),
		filecheck.Kind(),
		httpcheck.Kind(),
		httpcheck.KindTLS(),
		postgrescheck.Kind(),
		postgrescheck.KindLong(),
		redischeck.Kind(),
		redischeck.KindTLS(),
		tcpcheck.Kind(),
		zookeepercheck.Kind(),
	}
}
