package Test::Fanout::Broker;

# The embedded broker, t/util/broker.c: up in milliseconds, and it can be
# told to fail.
#
#     my $broker = Test::Fanout::Broker->new(incoming => 4, brokers => 1);
#
# Names in lower case that are not "brokers" are topics with their
# partitions.  A configuration against it sets fetch.wait.max.ms to 10.

use strict;
use warnings;

use parent 'Test::Fanout::Cluster';

use Test::Fanout qw(util);
use Test::Fanout::Process;


sub new {
    my ($class, %topics) = @_;

    my $brokers = delete $topics{brokers} || 1;

    my $process = Test::Fanout::Process->new(
        cmd => [util('broker'), '--commands', '--brokers', $brokers,
                map { ('--topic', "$_:$topics{$_}") } sort keys %topics],
        in => 1);

    my $servers = $process->line(10) // die "the broker did not start\n";

    return bless { process => $process, servers => $servers }, $class;
}


# topic NAME PARTITIONS, error NAME CODE, rtt MS, down, up
sub tell {
    my ($self, @words) = @_;

    $self->{process}->say("@words");

    my $answer = $self->{process}->line(10) // 'end';

    die "broker: @words: $answer\n" if $answer ne 'ok';
}


sub create {
    my ($self, $topic, $partitions) = @_;

    $self->tell('topic', $topic, $partitions);

    return $topic;
}


sub stop {
    my ($self) = @_;

    $self->{process}->stop;
}


1;
