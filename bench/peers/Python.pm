package Bench::Peer::Python;

# What is written today: service.py, on aiokafka and websockets.

use strict;
use warnings;

use parent -norequire, 'Bench::Peer';

use Test::Fanout qw(free_port);


sub start {
    my ($self) = @_;

    my $shape = $self->{shape};
    my $servers = $self->{env}{kafka}->servers;

    $self->{port} = free_port();
    $self->create_topic;

    $self->run_program($self->{port},
        "$ENV{FANOUT_BUILD}/bench/venv/bin/python", 'bench/peers/service.py',
        $self->{port}, $servers, $self->{topic});
}


sub path { '/' . ($_[0]{shape}{keys} > 1 ? $_[0]->channel : '') }
sub port { $_[0]{port} }
sub target { ('--to', 'kafka', '--brokers', $_[0]{env}{kafka}->servers) }


1;
