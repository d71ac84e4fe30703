package Test::Fanout;

# An nginx with the module for one test.
#
#     my $t = Test::Fanout->new(<<'EOF', brokers => $kafka->servers);
#     events {}
#     http {
#         fanout_zone  main 8m;
#         fanout_kafka main { bootstrap.servers %%BROKERS%%; }
#         server {
#             listen 127.0.0.1:%%PORT_1%%;
#             location /ws     { fanout_websocket bare; ... }
#             location /status { fanout_status; }
#         }
#     }
#     EOF
#
#     $t->start;
#     ...
#     $t->stop;
#     done_testing();
#
# In the configuration %%PORT_n%% is a free port, %%TESTDIR%% a folder of
# this test, %%WORKERS%% and %%BROKERS%% the options, and %%NAME%% what the
# option vars => {NAME => ...} says.  In front of it come load_module (if
# the configuration has none), worker_processes, pid, error_log and what the
# sanitizers need; after "http {" the access log and the folders for
# temporary files.
#
# stop() is a test of its own: it fails for an alert, crit or emerg in the
# error log that was not announced by expect(), for a report of a sanitizer,
# for a worker that does not go.  A test that ends without stop() fails.

use strict;
use warnings;

use Exporter qw(import);
use Fcntl qw(LOCK_EX LOCK_NB);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP ();
use Test::More ();
use Time::HiRes qw(time);

use Test::Fanout::Process;
use Test::Fanout::WebSocket;

our @EXPORT = qw(wait_for in_time workers few_workers flavor util free_port);

my $owner = $$;
my $json = JSON::PP->new->utf8;
my (@ports, @instances, $failed);


# -- without an nginx

# "normal" or "asan"
sub flavor { $ENV{FANOUT_FLAVOR} || 'normal' }


sub setting {
    my ($name) = @_;

    return $ENV{$name} // die "$name is not set: run the tests by bin/test\n";
}


# the path of a program of t/util
sub util { setting('FANOUT_BUILD') . "/util/$_[0]" }


# the numbers of workers to test with
sub workers { split ' ', $ENV{FANOUT_WORKERS} || '1 2 4' }


# those that a long test takes of them: the fewest and the most, and the one
# between with the sanitizers
sub few_workers {
    my @n = sort { $a <=> $b } workers();

    return flavor() eq 'asan' ? $n[@n / 2] : @n > 2 ? @n[0, -1] : @n;
}


# a port below those that the kernel gives to clients, held by a lock
# against tests that run beside this one
sub free_port {
    my $dir = setting('FANOUT_BUILD') . '/ports';

    make_path($dir);

    for (1 .. 1000) {
        my $port = 10000 + int rand 20000;

        open my $lock, '>', "$dir/$port" or die "$dir/$port: $!\n";
        flock $lock, LOCK_EX|LOCK_NB or next;

        IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port,
                              Proto => 'tcp', Listen => 1, ReuseAddr => 1)
            or next;

        push @ports, $lock;
        return $port;
    }

    die "no free port\n";
}


# polls until the code returns a true value, which it returns; dies when the
# time (10 s) and all patience is over
sub wait_for {
    my ($code, $seconds, $what) = @_;

    my $until = time() + $Test::Fanout::Process::PATIENCE * ($seconds || 10);

    for ( ;; ) {
        my $value = $code->();
        return $value if $value;

        if (time() > $until) {
            my (undef, $file, $line) = caller;
            die 'not in time: ' . ($what || 'state') . " at $file:$line\n";
        }

        select undef, undef, undef, 0.005;
    }
}


# what is promised within so many seconds, and was begun then; some more for a
# slow machine
sub in_time {
    my ($begin, $seconds, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return Test::More::cmp_ok(time() - $begin, '<', $seconds + 6, $name);
}


# -- nginx

# options: workers (1), brokers, vars, name (for messages), level (of the
# error log, info), status (the path, /status), daemon (0), binary (nginx),
# preload (a library of t/util, with the normal build only; writes into the
# test's folder)
sub new {
    my ($class, $conf, %o) = @_;

    my $dir = tempdir('fanout-XXXXXX', TMPDIR => 1);

    chmod 0755, $dir;
    mkdir "$dir/$_" or die "$dir/$_: $!\n" for qw(tmp san);
    chmod 0777, "$dir/tmp";
    chmod 01777, "$dir/san";

    my $self = bless {
        workers => 1, name => 'nginx', level => 'info', status => '/status',
        daemon => 0, binary => 'nginx',
        %o, dir => $dir, ports => {}, expected => [],
    }, $class;

    push @instances, $self;

    # a copy: a build may go on beside, and the workers' user can read it

    copy(setting('FANOUT_MODULE'), "$dir/ngx_http_fanout_module.so")
        or die "$ENV{FANOUT_MODULE}: $!\n";

    $self->configure($conf);

    return $self;
}


sub dir { $_[0]{dir} }
sub pid { $_[0]{process}->pid }


sub port {
    my ($self, $n) = @_;

    return $self->{ports}{$n || 1} ||= free_port();
}


# another configuration, for reload() too
sub configure {
    my ($self, $conf) = @_;

    my $head = '';

    if ($conf !~ /^\s*load_module\b/m) {
        $head .= "load_module %%TESTDIR%%/ngx_http_fanout_module.so;\n";
    }

    if ($conf !~ /^\s*worker_processes\b/m) {
        $head .= "worker_processes %%WORKERS%%;\n";
    }

    my $level = $ENV{FANOUT_DEBUG} ? 'debug' : $self->{level};

    $head .= "daemon off;\n" if !$self->{daemon};
    $head .= "pid %%TESTDIR%%/nginx.pid;\n"
             . "error_log %%TESTDIR%%/error.log $level;\n";

    # for a binary that replaces itself

    $head .= "env $_;\n" for qw(LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS);

    my $http = "    access_log %%TESTDIR%%/access.log;\n"
               . ($ENV{FANOUT_HTTP} // '') . "\n";

    for (qw(client_body proxy fastcgi uwsgi scgi)) {
        $http .= "    ${_}_temp_path %%TESTDIR%%/tmp/$_;\n";
    }

    $conf =~ s/^(\s*http\s*\{\n)/$1$http/m;
    $conf = $head . $conf;

    my %vars = (
        TESTDIR => $self->{dir}, WORKERS => $self->{workers},
        BROKERS => $self->{brokers}, %{ $self->{vars} || {} },
    );

    $conf =~ s/%%PORT_(\d+)%%/$self->port($1)/ge;
    $conf =~ s/%%(\w+)%%/$vars{$1} \/\/ die "no value for %%$1%%\n"/ge;

    $self->write_file('nginx.conf', $conf);

    ($self->{want}) = $conf =~ /^\s*worker_processes\s+(\d+);/m;
}


# a file in the test's folder; returns its path
sub write_file {
    my ($self, $name, $text) = @_;

    my $path = "$self->{dir}/$name";

    open my $fh, '>', $path or die "$path: $!\n";
    print $fh $text;
    close $fh or die "$path: $!\n";

    return $path;
}


sub read_file {
    my ($self, $name) = @_;

    open my $fh, '<', "$self->{dir}/$name" or return '';
    local $/;

    return <$fh> // '';
}


# a self-signed certificate; returns the paths of it and of its key
sub certificate {
    my ($self) = @_;

    my $base = "$self->{dir}/server";

    my $process = Test::Fanout::Process->new(
        cmd => ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
                '-subj', '/CN=localhost', '-addext',
                'subjectAltName=DNS:localhost,IP:127.0.0.1',
                '-keyout', "$base.key", '-out', "$base.crt"],
        out => "$base.log", err => "$base.log");

    die "openssl failed\n" if $process->wait(30);

    return ("$base.crt", "$base.key");
}


sub command {
    my ($self) = @_;

    return ($self->{binary}, '-p', "$self->{dir}/",
            '-c', "$self->{dir}/nginx.conf",
            '-e', "$self->{dir}/error.log");
}


sub environment {
    my ($self) = @_;

    if (flavor() ne 'asan') {
        return {} if !$self->{preload};
        return { LD_PRELOAD => util($self->{preload}),
                 FANOUT_DIR => $self->{dir} };
    }

    my $log = "log_path=$self->{dir}/san/report";

    return {
        LD_PRELOAD => setting('FANOUT_PRELOAD'),
        ASAN_OPTIONS => "detect_leaks=0:abort_on_error=0:"
                        . "detect_stack_use_after_return=1:$log",
        UBSAN_OPTIONS => "print_stacktrace=1:halt_on_error=1:$log",
    };
}


# nginx -t: its status and what it says
sub check {
    my ($self) = @_;

    my $out = "$self->{dir}/check.out";

    unlink $out;

    my $process = Test::Fanout::Process->new(
        cmd => [$self->command, '-t'], out => $out, err => $out,
        env => $self->environment);

    my $status = $process->wait(30) // die "nginx -t hangs\n";

    return ($status >> 8, $self->read_file('check.out'));
}


sub start {
    my ($self) = @_;

    $self->{stopped} = 0;

    Test::Fanout::Process->adopt if $self->{daemon};

    $self->{process} = Test::Fanout::Process->new(
        cmd => [$self->command], out => "$self->{dir}/out",
        err => "$self->{dir}/out", env => $self->environment);

    eval {
        $self->adopt('nginx.pid') if $self->{daemon};

        wait_for(sub {
            die "nginx ended\n" if !$self->{process}->alive;
            return $self->worker_pids == $self->{want};
        }, 20, 'workers');
    };

    if ($@) {
        my $error = $@;
        $self->show_logs;
        die "$self->{name}: $error";
    }

    return $self;
}


# the master is the process of that file: one that became a daemon, or that a
# running nginx has started
sub adopt {
    my ($self, $file) = @_;

    my $pid = wait_for(sub {
        return ($self->read_file($file) =~ /^(\d+)\n/)[0];
    }, 20, $file);

    return $self->{process} = Test::Fanout::Process->adopt($pid);
}


# pids of its workers that are ready and not on their way out
sub worker_pids {
    my ($self) = @_;

    my @pids = sort { $a <=> $b }
               map { $_->[0] }
               grep { $_->[1] =~ /^nginx: worker process(?! is)/ }
               children($self->pid);

    return @pids;
}


# pids of all processes below the master
sub children_pids { map { $_->[0] } children($_[0]->pid) }


# [pid, title] of the children of a process
sub children {
    my ($parent) = @_;

    my @found;

    for my $path (glob '/proc/[0-9]*') {
        open my $fh, '<', "$path/stat" or next;
        my $stat = <$fh> // next;

        my ($pid, $state, $ppid) = $stat =~ /^(\d+) \(.*\) (\S) (\d+)/s
            or next;

        next if $ppid != $parent || $state eq 'Z';

        open my $title, '<', "$path/cmdline" or next;
        my $text = <$title> // '';
        $text =~ s/\0.*//s;

        push @found, [$pid, $text];
    }

    return @found;
}


# resident memory of a process, in KB
sub rss {
    my ($self, $pid) = @_;

    open my $fh, '<', "/proc/$pid/status" or return;

    while (defined(my $line = <$fh>)) {
        return $1 if $line =~ /^VmRSS:\s+(\d+)/;
    }

    return;
}


# [pieces, bytes] that all workers have from malloc(); needs preload =>
# 'heap.so', and so the normal build
sub in_use {
    my ($self) = @_;

    my @sum = (0, 0);

    for my $pid ($self->worker_pids) {
        my ($pieces, $bytes) = unpack 'q2', $self->read_file("heap.$pid")
            or die "nothing is counted in $pid\n";

        $sum[0] += $pieces;
        $sum[1] += $bytes;
    }

    return @sum;
}


sub signal {
    my ($self, $signal) = @_;

    $self->{process}->signal($signal);
}


# HUP, until the new workers are there; the old ones may still go on, and
# their pids are returned
sub reload {
    my ($self, $seconds) = @_;

    my %old = map { $_ => 1 } $self->children_pids;

    $self->signal('HUP');

    wait_for(sub {
        return $self->{want} == grep { !$old{$_} } $self->worker_pids;
    }, $seconds || 20, 'new workers');

    my @pids = sort { $a <=> $b } keys %old;

    return @pids;
}


# until those processes are gone
sub wait_gone {
    my ($self, $seconds, @pids) = @_;

    wait_for(sub { !grep { running($_) } @pids }, $seconds,
             'end of ' . join ' ', @pids);
}


# what the master has: [open files, shared mappings, KB of memory]
sub holds {
    my ($self) = @_;

    my $pid = $self->pid;
    my @files = glob "/proc/$pid/fd/*";

    open my $maps, '<', "/proc/$pid/maps" or die "maps of $pid: $!\n";
    my @maps = <$maps>;

    return [scalar @files, scalar(grep { /zero|SYSV|shm/ } @maps),
            $self->rss($pid)];
}


# not gone, and not only waiting to be collected
sub running {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or return 0;

    return (<$fh> // '') =~ /^\d+ \(.*\) [^ZX]/s;
}


# lines of the error log that may look like a fault here
sub expect {
    my ($self, @patterns) = @_;

    push @{ $self->{expected} }, @patterns;
}


# what is wrong, as far as logs and reports tell; how many in scalar context
sub faults {
    my ($self) = @_;

    my @faults;

    for my $line (split /\n/, $self->read_file('error.log')
                              . $self->read_file('out'))
    {
        if ($line !~ /\[(?:alert|crit|emerg)\]/
            && $line !~ /AddressSanitizer|runtime error:/)
        {
            next;
        }

        push @faults, $line
            if !grep { $line =~ $_ } @{ $self->{expected} };
    }

    for my $report (glob "$self->{dir}/san/*") {
        push @faults, split /\n/, $self->read_file($report =~ s{.*/}{san/}r);
    }

    return @faults;
}


# ends it by that signal (QUIT) and tests that it left nothing wrong
sub stop {
    my ($self, $signal, $seconds) = @_;

    $self->{stopped} = 1;

    my @faults;
    my @pids = $self->{process}->alive ? $self->children_pids : ();

    push @faults, 'nginx had ended by itself'
        if !$self->{process}->alive;
    push @faults, 'nginx did not end in time'
        if !$self->{process}->stop($signal || 'QUIT', $seconds || 20);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return $self->left_nothing(\@faults, @pids);
}


# the same for one that the test itself has told to go
sub ended {
    my ($self, $seconds) = @_;

    $self->{stopped} = 1;

    my @faults;
    my @pids = $self->{process}->alive ? $self->children_pids : ();

    if (!defined $self->{process}->wait($seconds || 20)) {
        push @faults, 'nginx did not end in time';
        $self->{process}->stop('TERM');
    }

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return $self->left_nothing(\@faults, @pids);
}


# a test of its own: those processes are gone, nothing was logged or reported
sub left_nothing {
    my ($self, $found, @pids) = @_;

    my @faults = @$found;

    eval { $self->wait_gone(5, @pids) };

    if ($@) {
        push @faults, "left behind: $@";
        kill 'KILL', grep { running($_) } @pids;
    }

    push @faults, $self->faults;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    if (!Test::More::ok(!@faults, "$self->{name} left nothing wrong")) {
        Test::More::diag($_) for @faults > 60 ? @faults[0 .. 59] : @faults;
        $failed = 1;
    }

    return !@faults;
}


sub show_logs {
    my ($self) = @_;

    my @lines = split /\n/, $self->read_file('out')
                            . $self->read_file('error.log');

    splice @lines, 0, -30 if @lines > 30;
    Test::More::diag($_) for @lines, $self->faults;
}


# -- its clients

# sends bytes, returns all that comes until the end
sub raw {
    my ($self, $bytes, %o) = @_;

    my $c = Test::Fanout::WebSocket->open(
                port => $self->port($o{server}), %o);

    $c->write($bytes);
    1 while $c->fill;

    return $c->{buf};
}


# {status, headers, body}
sub get {
    my ($self, $path, %o) = @_;

    return Test::Fanout::WebSocket->connect(
        port => $self->port($o{server}), path => $path,
        set => {
            'Upgrade' => undef, 'Connection' => 'close',
            'Sec-WebSocket-Key' => undef, 'Sec-WebSocket-Version' => undef,
            %{ $o{set} || {} },
        },
        map { $_ => $o{$_} } grep { $_ ne 'set' } keys %o);
}


# fanout_status, decoded
sub status {
    my ($self) = @_;

    my $answer = $self->get($self->{status}, http => 'HTTP/1.0');

    die "status: $answer->{status}\n" if $answer->{status} != 200;

    return $json->decode($answer->{body});
}


# a websocket that has been accepted; options as Test::Fanout::WebSocket's,
# and server => n for the port
sub ws {
    my ($self, $path, %o) = @_;

    my $ws = Test::Fanout::WebSocket->connect(
                 port => $self->port($o{server}), path => $path || '/ws', %o);

    die "websocket: $ws->{raw}\n" if $ws->{status} != 101;

    return $ws;
}


# one that has read the prompt and replied; bare dialect
sub subscribe {
    my ($self, $filter, %o) = @_;

    my $ws = $self->ws(delete $o{path} || '/ws', %o);
    my $prompt = $ws->read_described;

    die "no prompt, but $prompt\n"
        if $prompt ne "text: what topic/key do you want?\n";

    $o{binary} ? $ws->binary($filter) : $ws->text($filter);

    return $ws;
}


# wsload against this nginx; a process whose lines are "ready", and the
# figures for figures()
sub load {
    my ($self, @args) = @_;

    my ($at) = grep { $args[$_] eq '--timeout' } 0 .. $#args;
    my $timeout = defined $at ? (splice @args, $at, 2)[1] : 60;

    $timeout *= $Test::Fanout::Process::PATIENCE;

    return Test::Fanout::Process->new(
        cmd => [util('wsload'), '--port', $self->port,
                '--timeout', $timeout, @args],
        in => 1);
}


# the JSON that a program of t/util ends with
sub figures {
    my ($self, $process, $seconds) = @_;

    while (defined(my $line = $process->line($seconds || 60))) {
        next if $line !~ /^\{/;

        my $figures = $json->decode($line);

        $figures->{exit} = $process->wait(10) // die "it does not end\n";
        return $figures;
    }

    die "$process->{cmd}[0] said no figures\n";
}


# a test that died says so again below the logs, where it is looked for

my $died;

$SIG{__DIE__} = sub { $died = $_[0] if defined $^S && !$^S };


END {
    if ($$ == $owner) {
        my $status = $?;

        for my $self (@instances) {
            if ($self->{process} && !$self->{stopped}) {
                my @pids = $self->children_pids;

                $self->{process}->stop('TERM', 10);
                kill 'KILL', grep { running($_) } @pids;

                Test::More::diag("$self->{name} was not stopped");
                $self->show_logs;
                $status ||= 1;
            }

            if ($ENV{FANOUT_KEEP}) {
                Test::More::diag("kept: $self->{dir}");
            } else {
                remove_tree($self->{dir}, { safe => 0 });
            }
        }

        Test::More::diag("died: $died") if defined $died;

        $? = $status;
    }
}


1;
