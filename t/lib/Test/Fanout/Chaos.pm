package Test::Fanout::Chaos;

# A run of t/chaos: a Kafka and an nginx of its own, producers with receipts,
# sessions that are watched, faults by plan, and the verdict.

use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use Test::Fanout qw(wait_for util);
use Test::Fanout::Chaos::Faults qw(%faults);
use Test::Fanout::Chaos::Judge;
use Test::Fanout::Kafka;
use Test::Fanout::Process;
use Test::Fanout::Status qw(quiet caught_up);

my $conf = <<'EOC';
worker_rlimit_nofile 16384;
worker_shutdown_timeout %%SHUTDOWN%%;
events { worker_connections 8192; }
http {
    fanout_zone   main %%ZONE%% ring=%%RING%%;
    fanout_linger 1s;
    fanout_owners %%OWNERS%%;
    %%DRAIN%%
    fanout_kafka main {
        bootstrap.servers %%BROKERS%%;
        fetch.wait.max.ms %%WAIT%%;
    }
    server {
        listen 127.0.0.1:%%PORT_1%% backlog=4096 reuseport;
        fanout_allow subscribe *;
        add_header Worker $pid always;
        location /ws     { fanout_websocket; fanout_pending 64m gap; }
        location /slow   { fanout_websocket; fanout_pending 64k gap; }
        location /status { fanout_status; }
    }
}
EOC


sub now { clock_gettime(CLOCK_MONOTONIC) }


# seed, sessions, rate, workers, owners, ring, plan, say (a function)
sub new {
    my ($class, %o) = @_;

    return bless {
        %o, dir => tempdir('chaos-XXXXXX', TMPDIR => 1), keys => 240,
        partitions => 12, watches => {}, producers => [], events => [],
        log => [], killed => {}, retired => {}, findings => [], down => 0,
        vars => { ZONE => '32m', RING => $o{ring}, WAIT => 100,
                  OWNERS => $o{owners} },
    }, $class;
}


sub say {
    my ($self, $text) = @_;

    push @{ $self->{log} }, [now(), $text];
    $self->{say}->(sprintf '%8.3f %s', now() - $self->{begin}, $text);
}


sub found {
    my ($self, $what, $why) = @_;

    push @{ $self->{findings} }, { what => $what, why => $why };
}


# -- what runs

sub start {
    my ($self) = @_;

    $self->{begin} = now();
    $self->{kafka} = Test::Fanout::Kafka->new;
    $self->{topic} = $self->{kafka}->create('chaos', $self->{partitions});

    # what is a directive's name is in the module as such

    open my $so, '<:raw', $ENV{FANOUT_MODULE}
        or die "$ENV{FANOUT_MODULE}: $!\n";
    my $drain = do { local $/; <$so> } =~ /\0fanout_drain\0/;

    $self->{vars}{DRAIN} = $drain ? 'fanout_drain 2s;' : '';
    $self->{vars}{SHUTDOWN} = $drain ? '30s' : '8s';

    $self->{t} = Test::Fanout->new($conf, brokers => $self->{kafka}->servers,
                                   workers => $self->{workers},
                                   vars => $self->{vars}, level => 'notice');
    $self->{t}->start;
    $self->{files} = files($self->{t}->pid);

    $self->groups;
    $self->produce($self->{topic}, $self->{rate}, '--keys', $self->{keys});
    $self->say('started');
}


sub groups {
    my ($self) = @_;

    my ($topic, $n) = ($self->{topic}, $self->{sessions});
    my $part = sub { int($n * $_[0]) || 1 };

    # some that read everything cost as much as all the others

    my $whole = $part->(0.03);
    $whole = 12 if $whole > 12;
    $self->{slow} = $whole > 6 ? 6 : $whole;

    $self->watch('whole', $topic, $whole);
    $self->watch('slow', $topic, $self->{slow}, '--path', '/slow',
                 '--rcvbuf', 8192);
    $self->watch('prefix', "$topic/key-1%d*", $part->(0.06), '--mod', 10);
    $self->watch('churn', "$topic/key-%d", $part->(0.1), '--mod',
                 $self->{keys}, '--stay', 4000,
                 '--leave', 'close,reset,cut,bad');
    $self->watch('key', "$topic/key-%d", $part->(0.78), '--mod',
                 $self->{keys});

    for (values %{ $self->{watches} }) {
        my $line = $_->{process}->line(60) // 'end';
        die "$_->{name}: $line\n" if $line ne 'ready';
    }
}


sub watch {
    my ($self, $name, $filter, $sessions, @options) = @_;

    my $report = "$self->{dir}/$name.report";

    my $process = Test::Fanout::Process->new(
        cmd => [util('wswatch'), '--port', $self->{t}->port,
                '--name', $name, '--filter', $filter, '--sessions', $sessions,
                '--keys', 2 * $self->{keys}, '--report', $report,
                '--seed', $self->{seed}, @options],
        in => 1);

    return $self->{watches}{$name} = {
        name => $name, process => $process, report => $report,
    };
}


sub tell {
    my ($self, $name, $line) = @_;

    $self->{watches}{$name}{process}->say($line);
}


sub unwatch {
    my ($self, $watch) = @_;

    return if $watch->{figures};

    $watch->{process}->say('stop');
    $watch->{figures} = $self->{t}->figures($watch->{process}, 30);
}


sub produce {
    my ($self, $topic, $rate, @options) = @_;

    my $log = "$self->{dir}/produced." . @{ $self->{producers} };

    push @{ $self->{producers} }, {
        topic => $topic, log => $log,
        process => Test::Fanout::Process->new(
            cmd => [util('produce'), '--brokers', $self->{kafka}->servers,
                    '--topic', $topic, '--count', 1000000000, '--rate', $rate,
                    '--size', 200, '--log', $log,
                    '-X', 'message.timeout.ms=120000',
                    '-X', 'reconnect.backoff.max.ms=500', @options],
            err => "$log.err"),
    };
}


# -- what faults ask

sub workers { $_[0]{t}->worker_pids }


# retired and not gone yet
sub old {
    my ($self) = @_;

    return grep { Test::Fanout::running($_) }
           sort { $a <=> $b } keys %{ $self->{retired} };
}


# librdkafka's threads are where partitions are read
sub owns {
    my ($self, $pid) = @_;

    return 1 < (() = glob "/proc/$pid/task/*");
}


sub killed {
    my ($self, $pid, $signal) = @_;

    # another signal may meet it while it reports the first one

    $self->{killed}{$pid} = $signal
        if ($self->{killed}{$pid} // '') ne 'SEGV';

    $self->{t}->expect(qr/ process $pid exited on signal (?:9|11)\b/,
                       qr/ was locked by $pid\b/);

    # the report itself has the pid in its name, see stop_nginx()

    $self->{t}->expect(qr/^AddressSanitizer:DEADLYSIGNAL$/)
        if $signal eq 'SEGV';

    # what nginx says when TERM meets a worker that has been told to quit

    $self->{t}->expect(qr/ $pid\#\d+:\ (?:\*\d+\ open\ socket\ \#\d+\ left
                                        |aborting$)/x) if $signal eq 'TERM';
}


sub reload {
    my ($self) = @_;

    # a worker that was started for one that was killed may be new here

    my @old = $self->workers;

    $self->{t}->configure($conf);
    $self->{retired}{$_} = 1 for @old, $self->{t}->reload(60);

    return @old;
}


sub later {
    my ($self, $seconds, $code) = @_;

    push @{ $self->{events} }, [now() + $seconds, $code];
}


# -- the run

# until that time; what is due meanwhile
sub pass {
    my ($self, $until) = @_;

    do {
        my @due = grep { $_->[0] <= now() } @{ $self->{events} };

        for my $event (@due) {
            @{ $self->{events} } = grep { $_ != $event } @{ $self->{events} };

            my $text = $event->[1]->($self);
            $self->say("        $text") if $text && $text !~ /^\d+$/;
        }

        select undef, undef, undef, 0.01;
    } while now() < $until;
}


sub run {
    my ($self, $seconds) = @_;

    my $begin = now();
    my $i = 0;

    for my $fault (@{ $self->{plan} }) {
        my ($at, $name, @drawn) = @$fault;

        $i++;
        next if $self->{only} && !$self->{only}{$i};

        $self->pass($begin + $at);

        my $did = $faults{$name}->($self, @drawn) // 'nobody to do it to';
        $self->say("#$i $name: $did");
        $self->{drawn}{$name}++;

        die "nginx ended\n" if !$self->{t}{process}->alive;
    }

    $self->pass($begin + $seconds);

    # and what is still to come

    $self->pass(now() + 0.1)
        while @{ $self->{events} }
              || grep { $_->alive } @{ $self->{pauses} || [] };
}


# no more records; until all that were produced have arrived
sub settle {
    my ($self) = @_;

    $self->say('settling');

    # whoever came back must be served, and get something

    $self->pass(now() + 6);

    for my $p (@{ $self->{producers} }) {
        $p->{process}->signal('TERM');
        $p->{figures} = $self->{t}->figures($p->{process}, 60);
        $self->found('producer', "failed $p->{figures}{failed}, exit "
                                 . $p->{figures}{exit})
            if $p->{figures}{exit};
    }

    $self->{ended} = now();

    my $late = caught_up($self->{t}, $self->{kafka}, $self->{topic}, 30);
    $self->found('behind', "the sources are $late") if $late;

    my ($count, $since) = (-1, now());

    wait_for(sub {
        my $now = $self->count;

        ($count, $since) = ($now, now()) if $now != $count;
        select undef, undef, undef, 0.1;
        return now() - $since > 1.5;
    }, 60, 'the end of the records');

    $self->unwatch($_) for values %{ $self->{watches} };
    $self->say('stopped');
}


sub count {
    my ($self) = @_;

    my $n = 0;

    for my $watch (grep { !$_->{figures} } values %{ $self->{watches} }) {
        $watch->{process}->say('count');

        for ( ;; ) {
            my $line = $watch->{process}->line(20) // die "$watch->{name}\n";

            next if $line !~ /^count (\d+)/;
            $n += $1;
            last;
        }
    }

    return $n;
}


# what is left in nginx: nothing
sub leftovers {
    my ($self) = @_;

    my $t = $self->{t};

    eval { $t->wait_gone(40, $self->old) };
    $self->found('process', "old workers stay: $@") if $@;

    # as many workers as at first, and no zone of others

    if ($t->{workers} != $self->{workers}) {
        $t->{workers} = $self->{workers};
        my @old = $self->reload;
        eval { $t->wait_gone(40, @old) };
        $self->found('process', "old workers stay: $@") if $@;
    }

    my $left = quiet($t, 30);
    $self->found('left', $left) if $left;

    my @children = $t->children_pids;
    $self->found('process', "@children") if @children != $self->{workers};

    my @threads = glob '/proc/' . $t->pid . '/task/*';
    $self->found('thread', 'of the master') if @threads != 1;

    my $files;

    eval {
        wait_for(sub {
            $files = files($t->pid);
            return keys %$files && counts($files) eq counts($self->{files});
        }, 10);
    };

    $self->found('file', 'of the master: ' . counts($self->{files})
                         . ', now ' . counts($files)) if $@;

    $self->stop_nginx;
}


sub stop_nginx {
    my ($self) = @_;

    my $t = $self->{t};

    # the sanitizer reports the signal that we sent

    for my $pid (grep { $self->{killed}{$_} eq 'SEGV' }
                 keys %{ $self->{killed} })
    {
        my $text = $t->read_file("san/report.$pid");
        unlink "$t->{dir}/san/report.$pid" if $text =~ /: SEGV on unknown/;
    }

    $t->stop or $self->found('nginx', join "\n    ", 'stopped', $t->faults);
}


# kinds of open files of a process, counted
sub files {
    my ($pid) = @_;

    my %kinds;

    for my $link (glob "/proc/$pid/fd/*") {
        my $name = readlink $link // next;
        $kinds{ $name =~ s/\d+|\(deleted\)//gr }++;
    }

    return \%kinds;
}


sub counts {
    my ($kinds) = @_;

    return join ', ', map { "$_ $kinds->{$_}" } sort keys %$kinds;
}


# the findings of all; and the figures
sub verdict {
    my ($self) = @_;

    my $judge = Test::Fanout::Chaos::Judge->new(
        error_log => $self->{t}->read_file('error.log'),
        killed => $self->{killed},
        until => $self->{ended} // now());

    $judge->produced(@{$_}{qw(topic log)}) for @{ $self->{producers} };
    $judge->report($_->{report}) for values %{ $self->{watches} };

    my %sum;

    for my $figures (map { $_->{figures} || {} } values %{ $self->{watches} })
    {
        $sum{$_} += $figures->{$_} // 0
            for qw(deliveries gaps gap_records missed broken leaving);
        $sum{notices}{$_} += $figures->{notices}{$_}
            for keys %{ $figures->{notices} || {} };
    }

    $self->found('broken', "$sum{broken} sessions") if $sum{broken};
    $self->found('leaving', "$sum{leaving} were not let go")
        if $sum{leaving};

    return ($judge, \%sum, @{ $self->{findings} }, $judge->findings);
}


# logs and all, for a look afterwards
sub keep {
    my ($self) = @_;

    for (qw(error.log access.log out nginx.conf)) {
        copy("$self->{t}{dir}/$_", "$self->{dir}/$_");
    }

    copy($_, "$self->{dir}/") for glob "$self->{t}{dir}/san/*";

    return $self->{dir};
}


sub forget { remove_tree($_[0]{dir}, { safe => 0 }) }


1;
