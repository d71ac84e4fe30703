#!/usr/bin/perl

# Each configuration of conf.example is accepted, starts, and does what it
# is there for.

use strict;
use warnings;

use MIME::Base64 qw(encode_base64);
use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;

my $folder = $0 =~ s{t/[^/]+$}{conf.example}r;
my $broker = Test::Fanout::Broker->new(orders => 2, 'orders-new' => 4,
                                       prices => 2, inbox => 2);
my $prompt = "text: what topic/key do you want?\n";
my (%seen, %keys);


sub text {
    my ($path) = @_;

    open my $fh, '<', $path or die "$path: $!\n";
    local $/;

    return <$fh>;
}


# an nginx with that file, its paths and ports replaced; the rest by pairs
# of what must be there and what comes in its place
sub example {
    my ($name, @pairs) = @_;

    my $conf = text("$folder/$name");

    $seen{$name} = 1;

    unshift @pairs, "load_module modules/ngx_http_fanout_module.so;\n", '',
                    '127.0.0.1:9092', $broker->servers;

    while (my ($from, $to) = splice @pairs, 0, 2) {
        $conf =~ s/\Q$from\E/$to/g or fail("$name has no \"$from\"");
    }

    $conf =~ s/\blisten 8080\b/listen 127.0.0.1:%%PORT_1%%/;
    $conf =~ s/\blisten 8443 ssl;/listen 127.0.0.1:%%PORT_1%% ssl;/;

    my $t = Test::Fanout->new("events {}\nhttp {\n}\n", workers => 2,
                              name => $name);

    return ($t, $conf);
}


sub started {
    my ($t, $conf) = @_;

    $t->configure($conf);

    my ($status, $out) = $t->check;

    is($status, 0, "$t->{name}: nginx -t") or diag($out);

    return $t->start;
}


sub served {
    my ($t) = @_;

    my $sum = 0;

    $sum += $_->{n} for @{ $t->status->{total}{subscribe_ms} };

    return $sum;
}


# a record comes to who is served by then; a key that this nginx has not had
# before, for each is counted once
sub delivers {
    my ($t, $ws, $topic, $key) = @_;

    my $before = $keys{$t->port}++ // 0;

    wait_for(sub { served($t) > $before }, 10, 'a subscription');

    $broker->produce($topic, ['--partitioner', 'murmur2'],
                     ["not $key", 'no'], [$key, 'a value']);

    is_deeply([$ws->read_pair], [$key, 'a value'], "$topic/$key");
    is($ws->close, 1000, 'goodbye');
}


# bytes of a worker's own memory for each idle client: of those above the first
# 1,000, with whom comes what is there once
sub memory {
    my ($t, $path) = @_;

    my ($worker) = $t->worker_pids;
    my (@loads, @kb);

    for my $sessions (1000, 2000) {
        push @loads, $t->load('--path', $path, '--sessions', $sessions,
                              '--filter', 'inbox/clients');

        wait_for(sub {
            $t->status->{total}{subscriptions} == 1000 * (2 * @loads - 1);
        }, 20, 'clients');

        push @kb, own_memory($worker);
    }

    $_->stop('TERM', 10) for @loads;
    wait_for(sub { $t->status->{total}{sessions} == 0 }, 20, 'their end');

    return ($kb[1] - $kb[0]) * 1024 / 2000;
}


# in KB
sub own_memory {
    my ($pid) = @_;

    my ($kb) = text("/proc/$pid/smaps_rollup") =~ /^Pss_Anon:\s+(\d+) kB$/m;

    return $kb;
}


sub basic {
    my ($user) = @_;

    return (headers => ['Authorization',
                        'Basic ' . encode_base64("$user:secret", '')]);
}


# -- minimal

my ($t, $conf) = example('minimal.conf');

started($t, $conf);
delivers($t, $t->subscribe('orders/dave', binary => 1), 'orders', 'dave');
$t->stop;

# and it is what the README shows

my $readme = text($folder =~ s{conf\.example$}{README.md}r);
my ($shown) = $readme =~ /^```nginx\n(.*?)^```/ms;
my $file = text("$folder/minimal.conf");

is($shown, $file =~ s/\A(?:#.*\n)*\n//r, 'minimal.conf is what README shows');

# -- filter

my $users = $t->write_file('users', join '', map { "$_:{PLAIN}secret\n" }
                                            'dave', '*', 'a/b');

($t, $conf) = example('filter.conf', '/etc/nginx/orders.htpasswd', $users,
                      'http://127.0.0.1:8081', 'http://127.0.0.1:%%PORT_2%%');

$conf =~ s/\}\s*\z/<<'EOC'/e;

    server {
        listen 127.0.0.1:%%PORT_2%%;

        location / {
            add_header X-Account $cookie_account;
            return 204;
        }
    }
}
EOC

started($t, $conf);

is(eval { $t->ws('/mine') } // $@ =~ s/ .*//sr, 'websocket:',
   'no password, no websocket');
delivers($t, $t->ws('/mine', basic('dave')), 'orders', 'dave');

is($t->ws('/mine', basic('*'))->read_described, "text: not allowed\n",
   'a user named "*"');

delivers($t, $t->ws('/account', headers => ['Cookie', 'account=bob']),
         'orders', 'bob');
is($t->ws('/account', headers => ['Cookie', 'account=b*'])->read_described,
   "text: not allowed\n", 'an account named "b*"');
is($t->ws('/account')->read_described, "text: not allowed\n", 'no account');
$t->stop;

# -- tls

($t) = example('tls.conf');

my ($crt, $key) = $t->certificate;

(undef, $conf) = example('tls.conf', '/etc/nginx/server.crt', $crt,
                         '/etc/nginx/server.key', $key);

started($t, $conf);

my %page = (ssl => 1, headers => ['Origin', 'https://app.example.com']);
my $ws = $t->ws('/ws', %page);

is($ws->read_described, $prompt, 'the prompt over TLS');
$ws->close;

$ws = $t->ws('/echo', %page);
$ws->text('hello');
is($ws->read_described, 'text: hello', 'echo over TLS');
$ws->close;

is($t->get('/ws', ssl => 1,
           set => { 'Upgrade' => 'websocket', 'Connection' => 'upgrade',
                    'Sec-WebSocket-Version' => 13,
                    'Sec-WebSocket-Key' => 'AAAAAAAAAAAAAAAAAAAAAA==',
                    'Origin' => 'https://evil.example' })->{status},
   403, 'a foreign page');
$t->stop;

# -- clusters

my $password = $t->write_file('password', "secret\n");

($t, $conf) = example('clusters.conf', '/etc/nginx/kafka.password',
                      $password, 'kafka.example.com:9093', '127.0.0.1:9');

started($t, $conf);
is($t->ws('/provider')->read_described, $prompt, 'the other cluster');
delivers($t, $t->subscribe('orders-new/dave', path => '/inside'),
         'orders-new', 'dave');
is($t->subscribe('orders', path => '/provider')->read_described,
   "text: not allowed\n", 'what the other location does not allow');
$t->stop;

# -- idle

($t, $conf) = example('idle.conf', "worker_rlimit_nofile  22500;\n", '',
                      'worker_connections  22000;',
                      'worker_connections  4000;');

$t->{workers} = 1;
started($t, $conf);

for (['/ws', 'dave', 4], ['/kept', 'bob', 8]) {
    my ($path, $user, $most) = @$_;

    delivers($t, $t->subscribe("inbox/$user", path => $path, binary => 1),
             'inbox', $user);

    SKIP: {
        skip 'memory is the sanitizer\'s', 1 if flavor() eq 'asan';

        # a request that is kept takes 5 KB, and a pool that is too small for
        # it a second block

        cmp_ok(memory($t, $path), '<', $most * 1024,
               "$path: bytes for each idle client");
    }
}

$t->stop;

is_deeply([sort keys %seen], [map { s{.*/}{}r } glob "$folder/*.conf"],
          'no example is left out');

done_testing();
