package Test::Fanout::Kafka;

# A real Apache Kafka of one node.
#
#     my $kafka = Test::Fanout::Kafka->shared;
#
# is the one that a run of bin/test has started (or this test's own, without
# such a run); topics get names of their own there.  A test that stops,
# kills or configures Kafka makes one with new(): started in some 3 s, on
# ports that it keeps over stop() and start().

use strict;
use warnings;

use parent 'Test::Fanout::Cluster';

use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;

use Test::Fanout qw(util wait_for free_port);
use Test::Fanout::Process;

use constant CLUSTER_ID => 'ZmFub3V0LXRlc3QtMDAwMQ';

my $owner = $$;
my ($shared, @instances);


sub shared {
    my ($class) = @_;

    return $shared ||= defined $ENV{FANOUT_KAFKA}
        ? bless({ servers => $ENV{FANOUT_KAFKA} }, $class)
        : $class->new;
}


# sasl => 1: also a listener with SASL/PLAIN for alice, password secret;
# set => {property => value} of the broker
sub new {
    my ($class, %o) = @_;

    my $dir = tempdir('fanout-kafka-XXXXXX', TMPDIR => 1);

    my $self = bless {
        dir => $dir, port => free_port(), controller => free_port(),
        sasl => $o{sasl} ? free_port() : undef, set => $o{set} || {},
    }, $class;

    push @instances, $self;

    $self->{servers} = "127.0.0.1:$self->{port}";
    $self->{sasl_servers} = "127.0.0.1:$self->{sasl}" if $o{sasl};

    $self->configure;
    $self->prepare;
    $self->start;

    return $self;
}


# bootstrap.servers of the listener that wants a password
sub sasl_servers { $_[0]{sasl_servers} }


sub configure {
    my ($self) = @_;

    my %p = (
        'process.roles' => 'broker,controller',
        'node.id' => 1,
        'controller.quorum.voters' => "1\@127.0.0.1:$self->{controller}",
        'controller.listener.names' => 'CONTROLLER',
        'inter.broker.listener.name' => 'PLAINTEXT',
        'listeners' => "PLAINTEXT://127.0.0.1:$self->{port},"
                       . "CONTROLLER://127.0.0.1:$self->{controller}",
        'listener.security.protocol.map' =>
            'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
        'log.dirs' => "$self->{dir}/data",
        'auto.create.topics.enable' => 'false',
        'num.network.threads' => 2,
        'num.io.threads' => 2,
        'group.initial.rebalance.delay.ms' => 0,

        # after a kill it waits for its own session to end

        'broker.session.timeout.ms' => 1000,
        'broker.heartbeat.interval.ms' => 200,

        # what is removed shall be gone soon

        'log.cleaner.backoff.ms' => 100,
        'log.initial.task.delay.ms' => 200,
        'log.retention.check.interval.ms' => 500,
        'log.segment.delete.delay.ms' => 100,
        'log.cleaner.dedupe.buffer.size' => 16777216,

        'offsets.topic.replication.factor' => 1,
        'offsets.topic.num.partitions' => 1,
        'transaction.state.log.replication.factor' => 1,
        'transaction.state.log.num.partitions' => 1,
        'transaction.state.log.min.isr' => 1,
        'share.coordinator.state.topic.replication.factor' => 1,
        'share.coordinator.state.topic.num.partitions' => 1,
        'share.coordinator.state.topic.min.isr' => 1,
    );

    if ($self->{sasl}) {
        $p{'listeners'} .= ",SASL://127.0.0.1:$self->{sasl}";
        $p{'listener.security.protocol.map'} .= ',SASL:SASL_PLAINTEXT';
        $p{'sasl.enabled.mechanisms'} = 'PLAIN';
        $p{'listener.name.sasl.plain.sasl.jaas.config'} =
            'org.apache.kafka.common.security.plain.PlainLoginModule '
            . 'required user_alice="secret";';
    }

    %p = (%p, %{ $self->{set} });

    open my $fh, '>', "$self->{dir}/server.properties"
        or die "$self->{dir}: $!\n";
    print $fh map { "$_=$p{$_}\n" } sort keys %p;
    close $fh;
}


sub java {
    my ($self, @args) = @_;

    my $jars = ($ENV{FANOUT_BUILD} // '') . '/kafka/jars';

    die "no Kafka in $jars: run the tests by bin/test\n" if !-d $jars;

    return Test::Fanout::Process->new(
        cmd => ['java', '-Xmx512m', '-XX:+UseSerialGC',
                '-XX:TieredStopAtLevel=1', '-Xshare:auto',
                '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
                '-cp', "$jars/*", @args],
        out => "$self->{dir}/log", err => "$self->{dir}/log");
}


# a formatted folder knows only ids and no ports: made once, then copied
sub prepare {
    my ($self) = @_;

    my $template = "$ENV{FANOUT_BUILD}/kafka/formatted";

    if (!-d $template) {
        my $process = $self->java('kafka.tools.StorageTool', 'format',
                                  '-t', CLUSTER_ID,
                                  '-c', "$self->{dir}/server.properties");
        my $status = $process->wait(60);

        die "Kafka's format failed:\n" . $self->log
            if !defined $status || $status;

        system('cp', '-r', "$self->{dir}/data", "$template.$$") == 0
            or die "cp failed\n";

        # whoever is first wins

        rename "$template.$$", $template or remove_tree("$template.$$");
        return;
    }

    system('cp', '-r', $template, "$self->{dir}/data") == 0
        or die "cp failed\n";
}


sub log {
    my ($self) = @_;

    open my $fh, '<', "$self->{dir}/log" or return '';
    local $/;

    return <$fh> // '';
}


sub start {
    my ($self) = @_;

    $self->{process} = $self->java('kafka.Kafka',
                                   "$self->{dir}/server.properties");

    wait_for(sub {
        die "Kafka ended:\n" . $self->log if !$self->{process}->alive;

        return IO::Socket::INET->new(PeerAddr => $self->{servers},
                                     Timeout => 1);
    }, 60, 'Kafka');

    $self->topic('ping');
}


sub stop {
    my ($self) = @_;

    $self->{process}->stop('TERM', 30);
}


sub kill {
    my ($self) = @_;

    $self->{process}->stop('KILL', 10);
}


# returns the topic's name; config as name => value of the topic
sub create {
    my ($self, $topic, $partitions, %config) = @_;

    $self->topic('create', $topic, $partitions,
                 map { "$_=$config{$_}" } sort keys %config);

    return $topic;
}


# a program of its own: starts one, prints its servers, ends with its stdin
sub serve {
    my ($class) = @_;

    my $self = $class->new;

    $| = 1;
    print "$self->{servers}\n";

    1 while <STDIN>;

    $self->stop;
}


END {
    if ($$ == $owner) {
        my $status = $?;

        for my $self (@instances) {
            $self->kill if $self->{process};
            remove_tree($self->{dir}, { safe => 0 });
        }

        $? = $status;
    }
}


1;
