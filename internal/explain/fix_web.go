package explain

// These are configurations by web server; see fixed for the marks in them. What
// they leave out stays as it is.

// siteRedirects have the application asked with the site's own Host.
var siteRedirects = map[string]string{
	nginx: `
# nginx, in the server block that answers for the address. Without a return or
# rewrite outside of a location, as that would come first.
location = @PATH@ {
    proxy_pass http://127.0.0.1:8000;    # as in the site's block
    proxy_set_header Host @NAME@;
}`,
	apache: `
# Apache, in the VirtualHost that answers for the address. Without a Redirect or
# RewriteRule that fits the path, as that would come first.
ProxyPass "@PATH@" "http://127.0.0.1:8000@PATH@"
ProxyPreserveHost On
<Location "@PATH@">
    RequestHeader set Host "@NAME@"
</Location>`,
	caddy: `
# Caddyfile, in the site that answers for the address. Without a redir outside
# of a handle, as that would come first.
handle @PATH@ {
    reverse_proxy 127.0.0.1:8000 {    # as in the site's own
        header_up Host @NAME@
    }
}`,
	haproxy: `
# haproxy.cfg, in the frontend, before all else that looks at the Host
http-request set-header Host @NAME@ if { path @PATH@ }
default_backend app    # as for the site`,
}

// siteRedirectsMoved are for a redirect that the web server itself makes, in
// place of it.
var siteRedirectsMoved = map[string]string{
	nginx: `
location / {
    return 301 $scheme://@NAME@$request_uri;
}`,
	apache: `
RewriteEngine On
RewriteCond %{REQUEST_URI} !^/@RE@/?$
RewriteCond %{HTTP_HOST} !^@NAMERE@(:|$) [NC]
RewriteRule ^ %{REQUEST_SCHEME}://@NAME@%{REQUEST_URI} [R=301,L]`,
	caddy: `
handle {
    redir {scheme}://@NAME@{uri} permanent
}`,
	haproxy: `
http-request redirect prefix @SCHEME@://@NAME@ code 301 unless { hdr(host) -i @NAME@ }`,
}

// defaultServers have the path answered for hosts that no site names. @REFUSES@
// is what the web server answered.
var defaultServers = map[string]string{
	nginx: `
# nginx: the server block with default_server on port @PORT@ (the first one, if
# none has it), in place of its return: a return or rewrite outside of a
# location comes before any location.
location = @PATH@ {
    proxy_pass http://127.0.0.1:8000;    # as in the site's block
    proxy_set_header Host @NAME@;
}
location / {
    return @REFUSES@;    # or what the block did until now
}`,
	apache: `
# Apache: within the first VirtualHost of port @PORT@, which answers for unknown
# hosts. Without a RewriteRule that fits the path, as that would come first.
ProxyPass "@PATH@" "http://127.0.0.1:8000@PATH@"
ProxyPreserveHost On
<Location "@PATH@">
    RequestHeader set Host "@NAME@"
    Require all granted
</Location>`,
	caddy: `
# Caddyfile: the site for hosts that no other names. Without a redir outside of
# a handle, as that would come first.
@SCHEME@://:@PORT@ {
    handle @PATH@ {
        reverse_proxy 127.0.0.1:8000 {    # as in the site's own
            header_up Host @NAME@
        }
    }
    handle {
        respond @REFUSES@    # or what the site did until now
    }
}`,
	haproxy: `
# haproxy.cfg, in the frontend, before all else that looks at the Host
http-request set-header Host @NAME@ if { path @PATH@ }
use_backend app if { path @PATH@ }    # as for the site`,
}

// botFilters leave the path out of a filter by User-Agent. The filter in them
// stands for the one that is there.
var botFilters = map[string]string{
	nginx: `
# nginx: in the block http, outside of the server blocks. A location would not
# do, as an if outside of locations comes before any location.
map $uri $filtered_agent {
    default   $http_user_agent;
    "@PATH@"  "Mozilla/5.0";
}

# nginx: in the filter $filtered_agent in place of $http_user_agent
if ($filtered_agent ~* "elb|bot|curl") { return 403; }`,
	apache: `
# Apache: before the conditions of the filter one more
RewriteEngine On
RewriteCond %{REQUEST_URI} !^/@RE@/?$
RewriteCond %{HTTP_USER_AGENT} "elb|bot|curl" [NC]
RewriteRule ^ - [F]

# Apache: or, if SetEnvIf or BrowserMatch marks the bots, after these
SetEnvIf Request_URI "^/@RE@/?$" !bad_bot`,
	caddy: `
# Caddyfile: in the filter's matcher one more line
@bots {
    not path @PATH@
    header_regexp User-Agent (?i)elb|bot|curl
}
respond @bots 403`,
	haproxy: `
# haproxy.cfg: at the end of the filter one more condition
http-request deny if { hdr_reg(user-agent) -i "elb|bot|curl" } !{ path @PATH@ }`,
}

// openPaths let the path in without a password.
var openPaths = map[string]string{
	nginx: `
# nginx
location = @PATH@ {
    auth_basic off;
    proxy_pass http://127.0.0.1:8000;    # as in location /
}`,
	apache: `
# Apache: after the section that asks for the password
<Location "@PATH@">
    AuthType None
    Require all granted
</Location>`,
	caddy: `
# Caddyfile: the users as they are now, for all paths but this one. Since 2.8 the
# directive is called basic_auth.
@guarded not path @PATH@
basicauth @guarded {
    # NAME HASH
}`,
	haproxy: `
# haproxy.cfg: one more condition; the userlist as it is now
http-request auth unless { path @PATH@ } || { http_auth(USERLIST) }`,
}

// limits leave the path out of a limit of the rate.
var limits = map[string]string{
	nginx: `
# nginx: limit_req in location /, and none in the health path's own
location = @PATH@ {
    proxy_pass http://127.0.0.1:8000;    # as in location /
}
location / {
    limit_req zone=…;
    # …
}`,
	haproxy: `
# haproxy.cfg: at the end of both rules one more condition
http-request track-sc0 src if !{ path @PATH@ }
http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100 } !{ path @PATH@ }`,
}
