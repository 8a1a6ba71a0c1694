# Varnish in front of the same nginx, which it asks once for each file.
vcl 4.1;
backend origin {
	# Loopback only.
	.host = "127.0.0.1";
	.port = "@backend@";
}
sub vcl_backend_response {
	# Longer than any run: only hits are measured.
	set beresp.ttl = 1h;
}
