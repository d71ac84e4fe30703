package Bench::Peer::Nchan;

# Nchan, of the package libnginx-mod-nchan: published to by HTTP, over one
# connection without waiting for answers; so there is no Kafka in its
# figures.

use strict;
use warnings;

use parent -norequire, 'Bench::Peer';

use Test::Fanout;


sub start {
    my ($self) = @_;

    my $tls = $self->{shape}{tls};
    my $ssl = $tls ? ' ssl' : '';
    my $certificate = $tls ? 'ssl_certificate server.crt; '
                             . 'ssl_certificate_key server.key;' : '';

    $self->{t} = Test::Fanout->new(<<"EOT",
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
worker_processes 1;
worker_rlimit_nofile 20000;
events { worker_connections 19500; }
http {
    access_log off;
    nchan_shared_memory_size 1g;
    keepalive_requests 10000000;
    client_body_buffer_size 128k;
    client_max_body_size 1m;
    server {
        listen 127.0.0.1:%%PORT_1%% backlog=4096$ssl;
        $certificate
        location /sub {
            nchan_subscriber websocket;
            nchan_channel_id \$arg_id;
            nchan_subscriber_first_message newest;
            nchan_message_buffer_length 10000;
            nchan_message_timeout 20s;
        }
    }
    server {
        listen 127.0.0.1:%%PORT_2%%;
        location /pub {
            nchan_publisher;
            nchan_channel_id \$arg_id;
            nchan_message_buffer_length 10000;
            nchan_message_timeout 20s;
        }
    }
}
EOT
        level => 'crit', name => 'nchan');

    $self->{t}->certificate if $tls;
    $self->{t}->start;
}


sub path { '/sub?id=' . $_[0]->channel }
sub port { $_[0]{t}->port }
sub pids { $_[0]{t}->worker_pids }
sub target { ('--to', 'http', '--port', $_[0]{t}->port(2)) }


# what it leaves is not ours to judge
sub stop {
    my ($self) = @_;

    my $t = delete $self->{t} or return;

    $t->expect(qr/./);
    $t->stop('TERM', 20);
}


1;
