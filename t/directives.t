#!/usr/bin/perl
# once

# The documents and the sources say the same: each directive of the table is
# described as it is, each example is accepted, and so for what clients are
# told.

use strict;
use warnings;

use Test::More;
use Test::Fanout;

my $top = $0 =~ s{t/[^/]+$}{}r || './';


sub text {
    my ($path) = @_;

    open my $fh, '<', $top . $path or die "$path: $!\n";
    local $/;

    return <$fh>;
}


# -- the table of the source: contexts and numbers of arguments

my $module = text('src/ngx_http_fanout_module.c');
my ($table) = $module =~ /\bngx_http_fanout_commands\[\] = \{(.*?)\n\};/s;
my %source;

while ($table =~ /ngx_string\("(\w+)"\),\s*([\w|\s]+),/g) {
    my ($name, $flags) = ($1, $2);
    my %flag = map { $_ => 1 } $flags =~ /(\w+)/g;

    my @where = map { $_->[0] } grep { $flag{"NGX_HTTP_$_->[1]_CONF"} }
                (['http', 'MAIN'], ['server', 'SRV'], ['location', 'LOC']);

    my ($args) = $flags =~ /NGX_CONF_(TAKE\d+|NOARGS|ANY|FLAG|[12]MORE)/;

    $source{$name} = {
        context => join(', ', @where), block => !!$flag{NGX_CONF_BLOCK},
        args => $args eq 'NOARGS' ? '0..0' : $args eq 'ANY' ? '0..'
                : $args eq 'FLAG' ? '1..1'
                : $args =~ /^(\d)MORE$/ ? "$1.."
                : $args =~ /^TAKE(\d)(\d?)$/ ? "$1.." . ($2 || $1) : '?',
    };
}

cmp_ok(scalar keys %source, '>=', 14, 'the table is found');

# -- what the document says

my $doc = text('docs/directives.md');
my %described;

while ($doc =~ /^## (\w+)\n(.*?)(?=^## |\z)/msg) {
    my ($name, $section) = ($1, $2);

    ok(!$described{$name}, "$name is described once");
    $described{$name} = $section;
}

is_deeply([sort keys %described], [sort keys %source],
          'all directives are described, and no others');


# how many arguments a syntax takes
sub arguments {
    my ($syntax) = @_;

    my ($least, $most) = (0, 0);

    $syntax =~ s/\{ \.\.\. \}$//;

    while ($syntax =~ /(\[[^\]]*\]|\S+)/g) {
        my $word = $1;

        if ($word =~ /\.\.\./) {
            $most = '';
            next;
        }

        $least++ if $word !~ /^\[/;
        $most++ if $most ne '';
    }

    return "$least..$most";
}


for my $name (sort keys %source) {
    my ($syntax, $default, $context) = ($described{$name} // '')
        =~ /^\ {4}Syntax:\ {3}$name\ ?(.*)
           \n\ {4}Default:\ {2}(.*)\n\ {4}Context:\ {2}(.*)\n/mx;

    $_ //= '?' for $syntax, $default, $context;

    my $block = $syntax =~ s/ \{ \.\.\. \}$//;

    ok($block || $syntax =~ s/;$//, "$name: the syntax ends");
    is(!!$block, $source{$name}{block}, "$name: block");
    is(arguments($syntax), $source{$name}{args}, "$name: arguments");
    is($context, $source{$name}{context}, "$name: context");
    is_deeply(defaults($name, $default), compiled($name), "$name: default");
}


# the numbers after the directive's name
sub defaults {
    my ($name, $text) = @_;

    my %unit = (k => 1024, m => 1048576, s => 1000, '' => 1);

    return [] if $text eq 'none';
    return [map { /^(\d+)(\D?)$/ ? $1 * $unit{$2} : () }
            split / /, $text =~ s/^$name (.*);$/$1/r];
}


# those that init_main_conf and merge_loc_conf have
sub compiled {
    my ($name) = @_;

    my ($field) = $name =~ /^fanout_(\w+)/;

    return [map { eval }
            $module =~ /ngx_conf_(?:init|merge)_(?!ptr)\w+_value\(
                        [^;]*?->$field(?:_interval|_timeout)?,
                        \s*(?:prev->\w+,)?\s*([\d\s*]+)\);/gx];
}


# -- the examples

my $t = Test::Fanout->new("events {}\nhttp {\n}\n");

$ENV{KAFKA_PASSWORD} = 'secret';


sub accepted {
    my ($http, $location) = @_;

    my %once = (
        fanout_zone => 'fanout_zone other 8m;',
        fanout_kafka => 'fanout_kafka main { bootstrap.servers x:1; }',
    );

    my $conf = join "\n", map({ $once{$_} } grep { $http !~ /^$_/m }
                                            sort keys %once), $http;

    $t->configure("events {}\nhttp {\n$conf\n    server {\n"
                  . "        listen 127.0.0.1:%%PORT_1%%;\n"
                  . "        location / { $location }\n    }\n}\n");

    return $t->check;
}


for my $name (sort keys %described) {
    my ($example) = $described{$name} =~ /^```nginx\n(.*?)^```/ms;

    like($example // '', qr/^$name\b/m, "$name: an example");

    my ($status, $out) = $source{$name}{context} eq 'http'
                         ? accepted($example, '') : accepted('', $example);

    is($status, 0, "$name: the example is accepted") or diag($out);
}

my ($status, $out) = accepted('fanout_kafka main { bootstrap.servers x:1; '
                              . 'topic orders-* { partitioner murmur2; } }',
                              '');

like($out, qr/unexpected "\{"/, 'a block in a block is refused');

# -- what clients are told

my $protocol = text('docs/protocol.md');
my $errors = text('src/proto/fo_error.h');
my ($rows) = $errors =~ /#define FO_ERRORS\(F\)(.*?)\n\n/s;
my (@want, @have);

$rows =~ s/\\\n/ /g;

while ($rows =~ /F\(\w+, (\w+), "([^"]*)", (\d), \s*(\d+)\)/g) {
    push @want, join ' | ', "`$1`", "`$2`", $4, $3 ? 'yes' : 'no'
        if $1 ne 'none';
}

push @have, $1 while $protocol =~ /^\| (`\w+` \| `[^`]+` \| \d+ \| \w+) \|/mg;

cmp_ok(scalar @want, '>=', 11, 'the errors are found');
is_deeply(\@have, \@want, 'notices and close codes');

my ($prompt) = text('src/proto/fo_bare.c') =~ /fo_str\("(what .*?)\\n"\)/;

ok(index($protocol, "Text    $prompt\\n\n") > 0, 'the prompt');

my %reason;

for my $file ('src/core/fo_filter.c', 'src/http/ngx_http_fanout_ws_input.c')
{
    my $source = text($file);

    $reason{s/\\"/"/gr} = 1
        for $source =~ /(?:\*reason|detail\.data)\s=\s(?:\(u_char\s\*\)\s)?
                        "((?:[^"\\]|\\.)*)"/gx;
}

my ($list) = $protocol =~ /^\| reason \| \|\n(.*?)\n\n/ms;
my %told = map { $_ => 1 } map { /`([^`]+)`/g }
           map { /^\| (.*?) \| / } split /\n/, $list;

is_deeply([sort keys %told], [sort keys %reason], 'what may be wrong');

# -- the status

my $operations = text('docs/operations.md');

my @counters = text('src/core/fo_stat.h') =~ /^    F\(\w+, (\w+)\)/mg;
my @members = text('src/http/ngx_http_fanout_status.c')
              =~ /(?:ToObject|number|name|_owner)\(\w+,\s*"(\w+)"/g;

cmp_ok(scalar @counters, '>=', 27, 'the counters are found');

for my $name (@counters, @members) {
    like($operations, qr/`$name`/, "the status: $name");
}

done_testing();
