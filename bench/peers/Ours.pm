package Bench::Peer::Ours;

# The module itself, with the bare dialect.

use strict;
use warnings;

use parent -norequire, 'Bench::Peer';

use Test::Fanout;
use Test::Fanout::Status;

# ours-join, ours-small, ours-detach
my %more = (
    join => 'fanout_join 10ms;',
    small => 'request_pool_size 5408; client_header_buffer_size 512; '
             . 'connection_pool_size 384;',
    detach => 'fanout_detach on; client_header_buffer_size 512; '
              . 'connection_pool_size 384;',
);


sub start {
    my ($self) = @_;

    my $shape = $self->{shape};
    my $more = $more{$self->{option}} // '';
    my $zone = $shape->{sessions} > 20000 ? '256m' : '64m';
    my $sndbuf = $shape->{sndbuf} ? " sndbuf=$shape->{sndbuf}" : '';
    my $workers = $self->{option} =~ /^(\d+)$/ ? $1 : $shape->{workers};

    # so many subscribers on one machine may answer a ping late

    $more .= ' fanout_ping 25s 60s;' if $shape->{sessions} > 20000;
    $more .= ' fanout_pending 512m;' if $shape->{kind} eq 'flat';
    $more .= ' fanout_pending 256k;' if $shape->{stall};

    $self->create_topic;

    $self->{t} = Test::Fanout->new(<<"EOT",
worker_rlimit_nofile 20000;
events { worker_connections 19500; }
http {
    fanout_zone  main $zone;
    fanout_kafka main { bootstrap.servers %%BROKERS%%; }
    access_log   off;
    $more
    server {
        listen 127.0.0.1:%%PORT_1%% backlog=4096$sndbuf%%SSL%%;
        %%CERTIFICATE%%
        location /ws     { fanout_websocket bare; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
    server {
        listen 127.0.0.1:%%PORT_2%%;
        location /status { fanout_status; }
    }
}
EOT
        workers => $workers, level => 'warn', name => 'ours',
        brokers => $self->{env}{kafka}->servers,
        vars => { $self->tls });

    $self->{t}->certificate if $shape->{tls};
    $self->{t}->start;
}


sub tls {
    my ($self) = @_;

    return (SSL => '', CERTIFICATE => '') if !$self->{shape}{tls};

    return (SSL => ' ssl',
            CERTIFICATE => 'ssl_certificate server.crt; '
                           . 'ssl_certificate_key server.key;');
}


sub dialect { 'bare' }
sub path { '/ws' }
sub port { $_[0]{t}->port }
sub pids { $_[0]{t}->worker_pids }
sub target { ('--to', 'kafka', '--brokers', $_[0]{env}{kafka}->servers) }


sub filter {
    my ($self) = @_;

    return $self->{topic} if $self->{shape}{keys} == 1;
    return "$self->{topic}/key-%d";
}


# the status of a port without TLS
sub status {
    my ($self) = @_;

    my $answer = $self->{t}->get('/status', http => 'HTTP/1.0', server => 2);

    return JSON::PP->new->decode($answer->{body});
}


sub settle {
    my ($self) = @_;

    my $want = $self->{shape}{sessions};
    my $total;

    eval {
        wait_for(sub {
            my $status = $self->status;

            $total = $status->{total};

            return $total->{subscriptions} == $want
                   && served($status) >= $total->{filters};
        }, 20);
    };

    return if !$@;

    my %refused = %{ $total->{refused} };

    die join ' ', "$total->{subscriptions} of $want are served,",
                  "$total->{sessions} sessions,",
                  map({ "$_ $refused{$_}" }
                      grep { $refused{$_} } sort keys %refused), "\n";
}


sub writes { $_[0]->status->{total}{writes} }
sub delivered { $_[0]->status->{total}{deliveries} }


sub doubt {
    my ($self) = @_;

    return '' if !$self->{shape}{stall};

    return $self->status->{total}{gaps} ? '' : 'nobody fell behind';
}


sub stop {
    my ($self) = @_;

    my $t = delete $self->{t} or return;

    $t->stop('TERM', 60) or die "nginx left something wrong\n";
}


1;
