package Test::Fanout::Stream;

# Records that many sessions must get, each once.
#
#     my $stream = Test::Fanout::Stream->new($broker, 'prices');
#
#     $stream->join($t->subscribe('prices'));
#     $stream->join($t->subscribe('prices/k1'), 'k1');
#     $stream->settle;                    # after something happened
#     is($stream->wrong, '', 'served');
#
# Each call produces records of its own.  settle() goes on to do so until
# each session gets what is new of every key it wants, whatever was missed
# before.  wrong() says, as text, which session did not get exactly the next
# records, in the order of each key; so what comes twice is told by this call
# or by the next one.

use strict;
use warnings;

use Time::HiRes qw(time);
use Test::Fanout::WebSocket;

use constant KEYS => 8;      # k0 .. k7, over the partitions


sub new {
    my ($class, $broker, $topic) = @_;

    return bless {
        broker => $broker, topic => $topic, sessions => [], round => 0,
    }, $class;
}


# a session of these keys, or of the whole topic
sub join {
    my ($self, $ws, @keys) = @_;

    push @{ $self->{sessions} },
         { ws => $ws, keys => @keys ? \@keys : [map { "k$_" } 0 .. KEYS - 1] };

    return $ws;
}


sub sessions { map { $_->{ws} } @{ $_[0]{sessions} } }


# these are no longer looked at
sub leave {
    my ($self, @gone) = @_;

    my %gone = map { $_ => 1 } @gone;

    $self->{sessions} = [grep { !$gone{$_->{ws}} } @{ $self->{sessions} }];
}


# so many records of each key; returns what their values begin with
sub produce {
    my ($self, $each) = @_;

    my $round = 'r' . ++$self->{round};
    my @records;

    for my $n (1 .. $each) {
        push @records, map { ["k$_", "$round $n"] } 0 .. KEYS - 1;
    }

    $self->{broker}->produce($self->{topic}, @records);

    return $round;
}


sub settle {
    my ($self, $seconds) = @_;

    my $until = time() + ($seconds || 30);
    my $wait = 0.1;
    my $missing;

    # who is not served yet gets nothing of a round: all wait together, and
    # longer in each round, in which a slow machine may need it

    do {
        my $round = $self->produce(1);
        my $end = time() + $wait;

        $missing = grep { !took($_, "$round 1", $end) }
                        @{ $self->{sessions} };
        $wait *= 2 if $wait < 2;

        die "$missing sessions are not served\n"
            if $missing && time() > $until;
    } while ($missing);
}


# does a record with that value come of each key, until that time?
sub took {
    my ($session, $want, $end) = @_;

    my %left = map { $_ => 1 } @{ $session->{keys} };

    while (%left) {
        my $wait = $end - time();

        local $session->{ws}{timeout} = $wait > 0 ? $wait : 0;

        my ($key, $value) = eval { pair($session) };

        if (!defined $key) {
            die $@ if $@ !~ /in time/;
            return 0;
        }

        delete $left{$key} if $value eq $want;
    }

    return 1;
}


# the next record; of one that came half, the key is kept for the next call
sub pair {
    my ($session) = @_;

    for my $part (qw(key value)) {
        next if defined $session->{$part};

        my $frame = $session->{ws}->read_message;
        my $text = Test::Fanout::WebSocket::describe($frame);

        $text =~ s/^binary: // or die "no record, but $text\n";
        $session->{$part} = $text;
    }

    return delete @$session{qw(key value)};
}


sub wrong {
    my ($self, $each) = @_;

    $each ||= 5;

    my $round = $self->produce($each);
    my @wrong;

    for my $session (@{ $self->{sessions} }) {
        my %want = map { $_ => 1 } @{ $session->{keys} };
        my $left = $each * keys %want;

        while ($left--) {
            my ($key, $value) = eval { pair($session) };

            if (!defined $key) {
                push @wrong, "$round: $left to come: $@";
                last;
            }

            my $next = "$round " . ($want{$key} // 'none');

            if ($value ne $next) {
                push @wrong, "\"$value\" of $key instead of \"$next\"";
                last;
            }

            $want{$key}++;
        }
    }

    return CORE::join '; ', @wrong;
}


1;
