package Bench::Peer::Ours;

# The module itself, with the bare dialect.

use strict;
use warnings;

use parent -norequire, 'Bench::Peer';

use List::Util qw(max);

use Test::Fanout;
use Test::Fanout::Status;

# ours-join, ours-small, ours-detach
my %more = (
    join => sub { 'fanout_join 10ms;' },
    small => sub { pools() },
    detach => sub { 'fanout_detach on; ' . pools() },
);


# the sizes of nginx's pools for idle clients
sub pools {
    open my $fh, '<', 'conf.example/idle.conf' or die "idle.conf: $!\n";

    return join ' ', grep { /^\w+_(?:pool|buffer)_size\s/ }
                     map { s/^\s+|\s+$//gr } <$fh>;
}


sub start {
    my ($self) = @_;

    my $shape = $self->{shape};
    my $option = $more{$self->{option}};
    my $more = $option ? $option->() : '';
    my $zone = $shape->{sessions} > 20000 ? '256m' : '64m';
    my $sndbuf = $shape->{sndbuf} ? " sndbuf=$shape->{sndbuf}" : '';
    my $workers = $self->{option} =~ /^(\d+)$/ ? $1 : $shape->{workers};

    # so many subscribers on one machine may answer a ping late, and pings of
    # all that came together are not what records cost

    $more .= $shape->{kind} eq 'idle' ? ' fanout_ping 25s 60s;'
                                      : ' fanout_ping 1h 60s;'
        if $shape->{sessions} > 20000;
    $more .= ' fanout_pending 512m;' if $shape->{kind} eq 'flat';
    $more .= " fanout_pending $shape->{pending};" if $shape->{pending};
    $more .= ' fanout_owners 1; fanout_linger 300s;' if $shape->{reader};

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
    my ($self, $want) = @_;

    my $total;

    $want //= $self->{shape}{sessions} + ($self->{beside} ? 1 : 0);

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


# each worker takes from the rings at most what the others have read
sub crossed {
    my ($self) = @_;

    my $status = $self->status;
    my $all = $status->{total}{records};

    return undef if @{ $status->{workers} } < 2;

    return max(map {
        my $others = $all - $_->{records};
        $others ? $_->{ring_read} / $others : 0;
    } @{ $status->{workers} });
}


# Where it matters who reads: the other worker, if it is to be that one,
# gets a subscriber of its own first, and goes on reading when that has left.
sub load {
    my ($self, $shape) = @_;

    my $reader = $self->{shape}{reader} // return $self->SUPER::load($shape);
    my ($worker, $other) = $self->pids;

    return $self->load_in($worker, $other) if $reader eq 'own';

    my $beside = $self->{shape}{beside};
    my $first = $self->{$beside ? 'beside' : 'keeper'}
              = $self->load_in($other, $worker);

    $first->await('open', 20);
    $self->settle(1);

    my $load = $self->load_in($worker, $other);

    $self->settle(2);

    if (!$beside) {
        $first->stop;
        $self->settle(1);
    }

    return $load;
}


# a subscriber in that worker: the other one stands still meanwhile
sub load_in {
    my ($self, $worker, $other) = @_;

    kill 'STOP', $other;

    my $load = eval {
        wait_for(sub { stands($other) }, 10, 'a stop');

        my $load = $self->SUPER::load;

        wait_for(sub {
            my ($its) = grep { $_->{pid} == $worker }
                             @{ $self->status->{workers} };

            return $its && $its->{sessions} == 1;
        }, 10, 'a session in a certain worker');

        $load;
    };

    kill 'CONT', $other;

    return $load // die $@;
}


# as long as it only is about to, connections may still be meant for it
sub stands {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or die "/proc/$pid/stat: $!\n";

    return <$fh> =~ /\) T /;
}


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
