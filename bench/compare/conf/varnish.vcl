# Varnish in front of the same origin; what belongs on its command line is in bench/lib/servers.py.
vcl 4.1;
backend origin {
	.host = "127.0.0.1";
	.port = "@origin@";
}
sub vcl_backend_response {
	# As fresh as the origin says; stale objects are not kept for longer than they are fresh.
	set beresp.grace = 0s;
}
