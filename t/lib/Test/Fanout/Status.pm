package Test::Fanout::Status;

# What the status must say before a test goes on.

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP ();
use Test::More ();

use Test::Fanout qw(wait_for);

our @EXPORT = qw(subscribe_or_not settled sessions_are lines_are served
                 quiet broken leftovers caught_up cpu_seconds);


# how many filters have been served so far, in all workers: each is counted
# once in the histogram
sub served {
    my ($status) = @_;

    my $n = 0;
    $n += $_->{n} for @{ $status->{total}{subscribe_ms} };

    return $n;
}


# a session that is served, undef if its topic is unknown; the only one that
# asks
sub subscribe_or_not {
    my ($t, $filter, %o) = @_;

    my $status = $t->status;
    my $served = served($status);
    my $refused = $status->{total}{refused}{unknown_topic};
    my $ws = $t->subscribe($filter, timeout => 60, %o);

    my $answer = wait_for(sub {
        $status = $t->status;

        return served($status) > $served ? 'served'
               : $status->{total}{refused}{unknown_topic} > $refused
                 ? 'refused' : undef;
    }, 10, 'an answer');

    return $answer eq 'served' ? $ws : undef;
}


# until there are so many subscriptions, and each is served; "before" is
# served() of a time without any
sub settled {
    my ($t, $subscriptions, $before, $seconds) = @_;

    return wait_for(sub {
        my $status = $t->status;
        my $total = $status->{total};

        return $total->{subscriptions} == $subscriptions
               && served($status) - ($before || 0) >= $total->{filters}
               && $status;
    }, $seconds || 20, "$subscriptions subscriptions");
}


# a test: so many sessions, when those that a client has seen end have ended
sub sessions_are {
    my ($t, $want, $name) = @_;

    my $n;

    eval {
        wait_for(sub { ($n = $t->status->{total}{sessions}) == $want });
    };

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return Test::More::is($n, $want, $name);
}


# a test: so many lines of websockets in the access log, when those that have
# ended are written
sub lines_are {
    my ($t, $want, $name) = @_;

    my $n;

    eval {
        wait_for(sub {
            $n = () = $t->read_file('access.log') =~ m{ HTTP/1\.1" 101 }g;
            return $n >= $want;
        });
    };

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return Test::More::is($n, $want, $name);
}


# what is left of subscriptions and sources in a status, as text
sub leftovers {
    my ($status) = @_;

    my %left = (
        sources => scalar @{ $status->{sources} },
        entries => $status->{zone}{entries},
        map { $_ => $status->{total}{$_} }
            qw(sessions subscriptions filters feeds chunks chunk_bytes
               sources),
    );

    return join ' ', map { "$_=$left{$_}" } grep { $left{$_} } sort keys %left;
}


# until nothing is left of subscriptions and sources
sub quiet {
    my ($t, $seconds) = @_;

    my $left;

    eval {
        wait_for(sub {
            $left = leftovers($t->status);
            return $left eq '';
        }, $seconds || 20);
    };

    return $left;
}


# until the sources have read all that Kafka has of a topic; what they lack
# then, as text
sub caught_up {
    my ($t, $kafka, $topic, $seconds) = @_;

    my $high = join ' ', map { $_->[1] } $kafka->offsets($topic);
    my $next;

    eval {
        wait_for(sub {
            $next = join ' ',
                    map { $_->{next_offset} // 'none' }
                    sort { $a->{partition} <=> $b->{partition} }
                    grep { $_->{topic} eq $topic }
                    @{ $t->status->{sources} };
            return $next eq $high;
        }, $seconds || 20);
    };

    return $next eq $high ? '' : "at $next, not at $high";
}


# CPU seconds that a process has used
sub cpu_seconds {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or die "/proc/$pid/stat: $!\n";

    my (undef, $user, $system) = <$fh> =~ /\) (?:\S+ ){11}((\d+) (\d+))/
        or die "/proc/$pid/stat\n";

    return ($user + $system) / 100;
}


# what is wrong in wsload's figures, as text
sub broken {
    my ($figures) = @_;

    my @bad = map { "$_=$figures->{$_}" }
              grep { $figures->{$_} }
              qw(failed closed lost doubled disorder foreign aborted broken
                 gaps);

    push @bad, 'incomplete' if !$figures->{complete};
    push @bad, "exit=$figures->{exit}" if $figures->{exit};

    return join ' ', @bad;
}


1;
