package explain

// clientCertificates demand a certificate where it is needed, and not for the
// health path.
var clientCertificates = map[string]string{
	nginx: `
# nginx: ask for a certificate, and demand it only where it is needed
ssl_verify_client optional;
location / {
    if ($ssl_client_verify != SUCCESS) { return 403; }
    # …
}
location = @PATH@ {
    proxy_pass http://127.0.0.1:8000;    # as in location /
}`,
	apache: `
# Apache: ask for a certificate, and demand it only where it is needed
SSLVerifyClient optional
<Location "/">
    Require expr "%{SSL_CLIENT_VERIFY} == 'SUCCESS'"
</Location>
<Location "@PATH@">
    Require all granted
</Location>`,
	haproxy: `
# haproxy.cfg: on the bind line verify optional in place of verify required, and
# in the frontend
http-request deny unless { path @PATH@ } || { ssl_c_used } { ssl_c_verify 0 }`,
	caddy: `
# Caddyfile: a second port for health checks, over plain http: where Caddy asks
# for certificates, it refuses those that name no site (strict_sni_host)
http://:8081 {
    handle @PATH@ {
        reverse_proxy 127.0.0.1:8000    # as in the site's own
    }
}`,
}

// defaultCertificates have a handshake that names no site succeed, and the path
// answered then.
var defaultCertificates = map[string]string{
	nginx: `
# nginx: the default server, in place of ssl_reject_handshake
server {
    listen @PORT@ ssl default_server;
    ssl_certificate     /etc/nginx/default.pem;
    ssl_certificate_key /etc/nginx/default.key;
    location = @PATH@ {
        proxy_pass http://127.0.0.1:8000;    # as in the site's block
        proxy_set_header Host @NAME@;
        proxy_set_header X-Forwarded-Proto https;
    }
    location / { return 404; }
}`,
	apache: `
# Apache: clients that name no site get the first VirtualHost of port @PORT@
SSLStrictSNIVHostCheck off

# and in that VirtualHost
ProxyPass "@PATH@" "http://127.0.0.1:8000@PATH@"
ProxyPreserveHost On
<Location "@PATH@">
    RequestHeader set Host "@NAME@"
    RequestHeader set X-Forwarded-Proto https
</Location>`,
	caddy: `
# Caddyfile: a site for clients that name none
https://:@PORT@ {
    tls /etc/caddy/default.pem /etc/caddy/default.key
    handle @PATH@ {
        reverse_proxy 127.0.0.1:8000 {    # as in the site's own
            header_up Host @NAME@
        }
    }
    handle {
        respond 404
    }
}`,
	haproxy: `
# haproxy.cfg: the bind line without strict-sni; its first certificate is shown to
# those that name no site
bind :@PORT@ ssl crt /etc/haproxy/site.pem`,
}

// withoutProxy give health checks a port of their own, on which no PROXY header
// is wanted.
var withoutProxy = map[string]string{
	nginx: `
# nginx: a second port for health checks, without proxy_protocol
listen @PORT@ proxy_protocol;
listen 8081;`,
	apache: `
# Apache: a second port for health checks, without RemoteIPProxyProtocol
Listen 8081
<VirtualHost *:8081>
    ProxyPass "@PATH@" "http://127.0.0.1:8000@PATH@"
    ProxyPreserveHost On
</VirtualHost>`,
	haproxy: `
# haproxy.cfg: in the frontend a second port for health checks, without accept-proxy
bind :@PORT@ accept-proxy
bind :8081`,
	caddy: `
# Caddyfile: a second port for health checks, which has no listener_wrappers
http://:8081 {
    handle @PATH@ {
        reverse_proxy 127.0.0.1:8000    # as in the site's own
    }
}`,
}

// withProxy have the PROXY header understood.
var withProxy = map[string]string{
	nginx: `
# nginx
listen @PORT@ proxy_protocol;`,
	apache: `
# Apache: in the VirtualHost of port @PORT@, with mod_remoteip
RemoteIPProxyProtocol On`,
	haproxy: `
# haproxy.cfg
bind :@PORT@ accept-proxy`,
	caddy: `
# Caddyfile: at its top, in the block of options; since 2.7
servers :@PORT@ {
    listener_wrappers {
        proxy_protocol
        tls
    }
}`,
}
