package Bench::Peer::Raw;

# The floor of reading: librdkafka alone, which parses what it gets and does
# nothing with it.  Server and subscriber are one process.

use strict;
use warnings;

use parent -norequire, 'Bench::Peer';

use Bench::Load;


sub start {
    my ($self) = @_;

    $self->create_topic;
}


sub target { ('--to', 'kafka', '--brokers', $_[0]{env}{kafka}->servers) }
sub pids { $_[0]{load}->pids }


sub load {
    my ($self) = @_;

    my $shape = $self->{shape};

    my $load = Bench::Load->single($shape, Bench::Peer::program('raw'),
        '--brokers', $self->{env}{kafka}->servers, '--topic', $self->{topic},
        '--partitions', $shape->{partitions});

    $load->{all} = $shape->{count};

    return $self->{load} = $load;
}


sub stop {
    my ($self) = @_;

    $self->{load}->stop if $self->{load};
}


1;
