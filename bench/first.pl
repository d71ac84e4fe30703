# First figures: see bench/first.

use strict;
use warnings;

use Time::HiRes qw(time);

use Test::Fanout;
use Test::Fanout::Kafka;

my %shapes = (paced => \&paced, burst => \&burst, latency => \&latency,
              idle => \&idle);

my @wanted = @ARGV ? @ARGV : qw(paced burst latency idle);
my $kafka = Test::Fanout::Kafka->new;
my $hz = 100;

for my $name (@wanted) {
    my $shape = $shapes{$name} or die "no shape \"$name\"\n";
    $shape->();
}

$kafka->stop;


sub server {
    my ($workers, $more) = @_;

    $more //= '';

    my %o = (workers => $workers, level => 'warn',
             brokers => $kafka->servers);

    my $t = Test::Fanout->new(<<"EOF", %o);
worker_rlimit_nofile 20000;
events { worker_connections 19000; }
http {
    fanout_zone  main 64m;
    fanout_kafka main { bootstrap.servers %%BROKERS%%; }
    server {
        listen 127.0.0.1:%%PORT_1%% backlog=4096;
        $more
        location /ws     { fanout_websocket bare; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOF

    $t->start;
    return $t;
}


# CPU seconds of all workers so far, threads of librdkafka included
sub cpu {
    my ($t) = @_;

    my $ticks = 0;

    for my $pid ($t->worker_pids) {
        open my $f, '<', "/proc/$pid/stat" or next;
        my @stat = split / /, (<$f> =~ s/.*\) //r);
        $ticks += $stat[11] + $stat[12];
    }

    return $ticks / $hz;
}


# waits until so many subscriptions are served
sub subscribed {
    my ($t, $n) = @_;

    wait_for(sub {
        my $s = $t->status;

        return @{ $s->{sources} }
               && !grep({ $_->{state} ne 'running' } @{ $s->{sources} })
               && $s->{total}{subscriptions} >= $n;
    }, 30, "$n subscriptions");
}


sub fanout {
    my ($title, $workers, $sessions, $records, $rate) = @_;

    my $t = server($workers);
    my $topic = $kafka->unique('bench');

    $kafka->create($topic, 1);

    my $load = $t->load('--filter', $topic, '--sessions', $sessions,
                        '--keys', 1, '--expect-each', $records,
                        '--settle', 100, '--timeout', 120);

    die "no sessions\n" if ($load->line(60) // '') ne 'ready';

    subscribed($t, $sessions);

    my $cpu = cpu($t);
    my $before = $t->status->{total};
    my $start = time;

    my $made = $kafka->produce_many($topic, '--count', $records,
                                    '--rate', $rate, '--size', 100,
                                    '-X', 'enable.idempotence=false',
                                    '-X', 'acks=1', '-X', 'linger.ms=0');

    my $f = $t->figures($load, 120);
    my $took = time() - $start - 0.1;

    $cpu = cpu($t) - $cpu;

    my $after = $t->status->{total};
    my $n = $after->{deliveries} - $before->{deliveries};
    my $writes = $after->{writes} - $before->{writes};

    printf "%-20s %d worker(s): %d deliveries, %.0f/s, "
           . "%.2f us CPU each, %.3f writes each, "
           . "p50 %.2f ms, p99 %.2f ms, lost %d, doubled %d\n",
           $title, $workers, $n, $n / $took, $cpu * 1e6 / $n, $writes / $n,
           $f->{latency_us}{p50} / 1000, $f->{latency_us}{p99} / 1000,
           $f->{lost}, $f->{doubled};

    $t->stop;
}


sub paced {
    fanout('1,000 x 100/s', $_, 1000, 1000, 100) for 1, 2;
}


sub burst {
    fanout('1,000 x 2,000', $_, 1000, 2000, 0) for 1, 2;
}


sub latency {
    fanout('1 x 1,000/s', $_, 1, 5000, 1000) for 1, 2;
}


# nginx's own memory of an idle session: what the worker's PSS grows by
sub idle {
    my $n = 8000;

    for my $more ('', 'request_pool_size 6k; client_header_buffer_size 512;')
    {
        my $t = server(1, $more);
        my $topic = $kafka->unique('idle');

        $kafka->create($topic, 1);

        my $one = $t->load('--filter', $topic, '--idle');
        $one->line(30);
        subscribed($t, 1);

        my $before = pss($t);

        my $load = $t->load('--filter', $topic, '--sessions', $n, '--idle');
        $load->line(60);
        subscribed($t, $n + 1);

        printf "idle, %s: %.2f KB a session (%d sessions)\n",
               $more ? 'small pools' : 'defaults',
               (pss($t) - $before) / $n, $n;

        $_->signal('TERM') for $load, $one;
        $t->stop;
    }
}


sub pss {
    my ($t) = @_;

    my $kb = 0;

    for my $pid ($t->worker_pids) {
        open my $f, '<', "/proc/$pid/smaps_rollup" or next;

        while (<$f>) {
            $kb += $1 if /^Pss:\s+(\d+)/;
        }
    }

    return $kb;
}
