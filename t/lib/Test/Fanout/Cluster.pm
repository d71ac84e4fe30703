package Test::Fanout::Cluster;

# What a test does with a cluster, whether it is the embedded broker or a
# real Kafka: make records.

use strict;
use warnings;

use Test::Fanout qw(util wait_for);
use Test::Fanout::Process;

my $count = 0;


# what goes into bootstrap.servers
sub servers { $_[0]{servers} }


# a topic name that no other test has
sub unique {
    my ($self, $name) = @_;

    return join '-', $name // 'topic', $$, ++$count;
}


# records [key, value], undef is null; returns [partition, offset] of each.
# Options of produce go first: produce($topic, ['--partition', 1], [k, v])
sub produce {
    my ($self, $topic, @records) = @_;

    my @options;

    if (@records && @{ $records[0] } && ($records[0][0] // '') =~ /^-/) {
        @options = @{ shift @records };
    }

    my $process = Test::Fanout::Process->new(
        cmd => [util('produce'), '--brokers', $self->servers,
                '--topic', $topic, '--lines', @options],
        in => 1);

    for my $record (@records) {
        $process->say(join "\t", map { escape($_) } @$record);
    }

    $process->close_in;

    my @places;

    while (defined(my $line = $process->line(30))) {
        push @places, [split / /, $line];
    }

    my $status = $process->wait(10);

    die "produce failed\n" if !defined $status || $status || !@places;

    return @places;
}


sub escape {
    my ($bytes) = @_;

    return '\\0' if !defined $bytes;

    $bytes =~ s/([\\\x00-\x1f\x7f-\xff])/sprintf '\\x%02x', ord $1/ge;

    return $bytes;
}


# many checkable records, as produce's options say; a process for figures()
sub start_producing {
    my ($self, $topic, @options) = @_;

    return Test::Fanout::Process->new(
        cmd => [util('produce'), '--brokers', $self->servers,
                '--topic', $topic, @options]);
}


# the same, to its end; the figures
sub produce_many {
    my ($self, $topic, @options) = @_;

    return Test::Fanout->figures($self->start_producing($topic, @options),
                                 120);
}


# a command of t/util/topic.c; its output
sub topic {
    my ($self, @command) = @_;

    my $process = Test::Fanout::Process->new(
        cmd => [util('topic'), '--brokers', $self->servers, @command]);

    my @lines;

    while (defined(my $line = $process->line(60))) {
        push @lines, $line;
    }

    my $status = $process->wait(10);

    die "topic @command failed\n" if !defined $status || $status;

    return @lines;
}


# [leader, how many replicas are in sync, how many there are] of each
# partition; a leader of -1 is none
sub leaders {
    my ($self, $topic) = @_;

    return map { [(split / /)[1 .. 3]] } $self->topic('leaders', $topic);
}


# until the code, called with what leaders() says, is true of every
# partition: wait_leaders($topic, sub { $_[0] != 2 }), and so on
sub wait_leaders {
    my ($self, $topic, $code, $seconds) = @_;

    my $said = '';

    eval {
        wait_for(sub {
            my @leaders = $self->leaders($topic);

            $said = join ' ', map { join '/', @$_ } @leaders;
            return @leaders && !grep { !$code->(@$_) } @leaders;
        }, $seconds || 40);
    };

    die "leaders of $topic, not in time: $said\n" if $@;
}


# until every partition has all its replicas in sync
sub wait_in_sync {
    my ($self, $topic, $seconds) = @_;

    $self->wait_leaders($topic, sub { $_[0] != -1 && $_[1] == $_[2] },
                        $seconds);
}


# [low, high] of each partition
sub offsets {
    my ($self, $topic) = @_;

    return map { [(split / /)[1, 2]] } $self->topic('offsets', $topic);
}


1;
