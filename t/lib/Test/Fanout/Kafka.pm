package Test::Fanout::Kafka;

# A real Apache Kafka of one node, or of several on this machine.
#
#     my $kafka = Test::Fanout::Kafka->shared;
#
# is the one that a run of bin/test has started (or this test's own, without
# such a run); topics get names of their own there.  A test that stops,
# kills or configures Kafka makes one with new(): started in some 3 s, on
# ports that it keeps over stop() and start().
#
#     my $kafka = Test::Fanout::Kafka->new(nodes => 3);
#
# is a cluster, ready in some 10 s: each node a broker and a controller, with
# id 1 .. 3, three replicas of each partition, one in sync is enough.  Two
# nodes make a quorum.  start(), stop(), kill() and configure() take a node's
# id, and mean all nodes without one.

use strict;
use warnings;

use parent 'Test::Fanout::Cluster';

use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;

use Test::Fanout qw(wait_for free_port);
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


# nodes => how many (1);
# sasl => 1: also a listener with SASL/PLAIN for alice, password secret;
# set => {property => value} of the brokers
sub new {
    my ($class, %o) = @_;

    my $dir = tempdir('fanout-kafka-XXXXXX', TMPDIR => 1);

    my $self = bless {
        dir => $dir, set => $o{set} || {}, password => 'secret', nodes => {},
    }, $class;

    push @instances, $self;

    for my $id (1 .. $o{nodes} || 1) {
        mkdir "$dir/$id" or die "$dir/$id: $!\n";

        $self->{nodes}{$id} = {
            id => $id, dir => "$dir/$id", port => free_port(),
            controller => free_port(), sasl => $o{sasl} ? free_port() : undef,
        };
    }

    $self->{servers} = $self->ports('port');
    $self->{sasl_servers} = $self->ports('sasl') if $o{sasl};

    $self->configure;
    $self->prepare;
    $self->start;

    return $self;
}


sub count { scalar keys %{ $_[0]{nodes} } }
sub ids { sort { $a <=> $b } keys %{ $_[0]{nodes} } }


# those that are meant by no id: all
sub nodes {
    my ($self, @ids) = @_;

    return map { $self->{nodes}{$_} // die "no node $_\n" }
               @ids ? @ids : $self->ids;
}


sub ports {
    my ($self, $name) = @_;

    return join ',', map { "127.0.0.1:$_->{$name}" } $self->nodes;
}


# bootstrap.servers of the listener that wants a password
sub sasl_servers { $_[0]{sasl_servers} }


# alice's password, from the next configure() and start() on
sub password { $_[0]{password} = $_[1] }


sub configure {
    my ($self, @ids) = @_;

    for my $node ($self->nodes(@ids)) {
        my %p = ($self->properties($node), %{ $self->{set} });

        open my $fh, '>', "$node->{dir}/server.properties"
            or die "$node->{dir}: $!\n";
        print $fh map { "$_=$p{$_}\n" } sort keys %p;
        close $fh;
    }
}


sub properties {
    my ($self, $node) = @_;

    my $n = $self->count;

    my %p = (
        'process.roles' => 'broker,controller',
        'node.id' => $node->{id},
        'controller.quorum.voters' =>
            join(',', map { "$_->{id}\@127.0.0.1:$_->{controller}" }
                      $self->nodes),
        'controller.listener.names' => 'CONTROLLER',
        'inter.broker.listener.name' => 'PLAINTEXT',
        'listeners' => "PLAINTEXT://127.0.0.1:$node->{port},"
                       . "CONTROLLER://127.0.0.1:$node->{controller}",
        'listener.security.protocol.map' =>
            'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
        'log.dirs' => "$node->{dir}/data",
        'auto.create.topics.enable' => 'false',
        'default.replication.factor' => $n,
        'min.insync.replicas' => 1,
        'num.network.threads' => 2,
        'num.io.threads' => 2,
        'group.initial.rebalance.delay.ms' => 0,

        # after a kill it waits for its own session to end; on a busy machine
        # a shorter one ends by itself, and partitions have no leader

        'broker.session.timeout.ms' => $n > 1 ? 4000 : 3000,
        'broker.heartbeat.interval.ms' => $n > 1 ? 500 : 200,

        # three that start together on a busy machine find each other later

        'initial.broker.registration.timeout.ms' => 180000,

        # what is removed shall be gone soon

        'log.cleaner.backoff.ms' => 100,
        'log.initial.task.delay.ms' => 200,
        'log.retention.check.interval.ms' => 500,
        'log.segment.delete.delay.ms' => 100,
        'log.cleaner.dedupe.buffer.size' => 16777216,
    );

    for (qw(offsets transaction.state.log share.coordinator.state)) {
        my $name = $_ eq 'transaction.state.log' ? $_ : "$_.topic";

        $p{"$name.replication.factor"} = $n;
        $p{"$name.num.partitions"} = 1;
        $p{"$name.min.isr"} = 1 if $_ ne 'offsets';
    }

    if ($node->{sasl}) {
        $p{'listeners'} .= ",SASL://127.0.0.1:$node->{sasl}";
        $p{'listener.security.protocol.map'} .= ',SASL:SASL_PLAINTEXT';
        $p{'sasl.enabled.mechanisms'} = 'PLAIN';
        $p{'listener.name.sasl.plain.sasl.jaas.config'} =
            'org.apache.kafka.common.security.plain.PlainLoginModule '
            . "required user_alice=\"$self->{password}\";";
    }

    return %p;
}


sub java {
    my ($self, $node, @args) = @_;

    my $jars = ($ENV{FANOUT_BUILD} // '') . '/kafka/jars';

    die "no Kafka in $jars: run the tests by bin/test\n" if !-d $jars;

    my $heap = $self->count > 1 ? '-Xmx300m' : '-Xmx512m';

    return Test::Fanout::Process->new(
        cmd => ['java', $heap, '-XX:+UseSerialGC',
                '-XX:TieredStopAtLevel=1', '-Xshare:auto',
                '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
                '-cp', "$jars/*", @args],
        out => "$node->{dir}/log", err => "$node->{dir}/log");
}


# a formatted folder knows only ids and no ports: made once, then copied
sub prepare {
    my ($self) = @_;

    my $template = "$ENV{FANOUT_BUILD}/kafka/formatted";
    my ($first) = $self->nodes;

    if (!-d $template) {
        my $process = $self->java($first, 'kafka.tools.StorageTool', 'format',
                                  '-t', CLUSTER_ID,
                                  '-c', "$first->{dir}/server.properties");
        my $status = $process->wait(60);

        die "Kafka's format failed:\n" . $self->log
            if !defined $status || $status;

        system('mv', "$first->{dir}/data", "$template.$$") == 0
            or die "mv failed\n";

        # whoever is first wins

        rename "$template.$$", $template or remove_tree("$template.$$");
    }

    for my $node ($self->nodes) {
        system('cp', '-r', $template, "$node->{dir}/data") == 0
            or die "cp failed\n";

        identify($node) if $node->{id} != 1;
    }
}


# the copy is another node's
sub identify {
    my ($node) = @_;

    my $path = "$node->{dir}/data/meta.properties";

    open my $fh, '+<', $path or die "$path: $!\n";
    my $text = join '', <$fh>;

    $text =~ s/^node\.id=1$/node.id=$node->{id}/m
        && $text =~ s/^(directory\.id=.{10})./$1$node->{id}/m
        or die "$path is not as expected\n";

    seek $fh, 0, 0;
    print $fh $text;
    close $fh or die "$path: $!\n";
}


# what the nodes have said
sub log {
    my ($self, @ids) = @_;

    return join '', map {
        open my $fh, '<', "$_->{dir}/log" or return '';
        local $/;
        <$fh> // '';
    } $self->nodes(@ids);
}


# those that do not run yet; until they and the cluster answer
sub start {
    my ($self, @ids) = @_;

    my @nodes = grep { !$_->{process} || !$_->{process}->alive }
                     $self->nodes(@ids);

    for my $node (@nodes) {
        $node->{process} = $self->java($node, 'kafka.Kafka',
                                       "$node->{dir}/server.properties");
    }

    for my $node (@nodes) {
        wait_for(sub {
            die "Kafka ended:\n" . $self->log($node->{id})
                if !$node->{process}->alive;

            return IO::Socket::INET->new(
                       PeerAddr => "127.0.0.1:$node->{port}", Timeout => 1);
        }, 60, 'Kafka');
    }

    my $running = grep { $_->{process} && $_->{process}->alive } $self->nodes;

    $self->topic('ping', $running);
}


# all are told before one is waited for
sub stop {
    my ($self, @ids) = @_;

    my @nodes = grep { $_->{process} } $self->nodes(@ids);

    $_->{process}->signal('TERM') for @nodes;

    return @nodes == grep { $_->{process}->stop('TERM', 30) } @nodes;
}


sub kill {
    my ($self, @ids) = @_;

    my @nodes = grep { $_->{process} } $self->nodes(@ids);

    $_->{process}->signal('KILL') for @nodes;
    $_->{process}->stop('KILL', 10) for @nodes;
}


# the process of a node that hangs, or goes on
sub signal {
    my ($self, $signal, @ids) = @_;

    $_->{process}->signal($signal) for $self->nodes(@ids);
}


# the folder of a partition on a node, for who looks at its segments
sub log_dir {
    my ($self, $topic, $partition, $id) = @_;

    my ($node) = $self->nodes($id // 1);

    return "$node->{dir}/data/$topic-$partition";
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
            $self->kill;
            remove_tree($self->{dir}, { safe => 0 });
        }

        $? = $status;
    }
}


1;
