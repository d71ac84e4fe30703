#!/usr/bin/perl
# once

# Which folder may include what, and which libraries only some files know.

use strict;
use warnings;

use FindBin;
use Test::More;
use Test::Fanout::Source;

my @bad = layers("$FindBin::Bin/..");

is(scalar @bad, 0, 'layers') or diag(join "\n", @bad);

done_testing();
